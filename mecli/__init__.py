"""Recognise facial micro-expressions, honestly and fast."""

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    # ``import mecli`` stays quick: what loads torch is loaded when somebody asks for it.
    from importlib import import_module

    if name == "api":
        return import_module("mecli.api")
    rooms = {"Predictor": "mecli.predictor", "Answer": "mecli.report.answers"}
    if name not in rooms:
        raise AttributeError(f"module 'mecli' has no attribute '{name}'")
    return getattr(import_module(rooms[name]), name)
