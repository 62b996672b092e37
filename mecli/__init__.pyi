from mecli.predictor import Predictor as Predictor
from mecli.report.answers import Answer as Answer

__version__: str
