from mecli import api as api
from mecli.predictor import Predictor as Predictor
from mecli.report.answers import Answer as Answer

__version__: str
