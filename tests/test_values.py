"""What the spec, the tickets and the ledger hand out is a value: nobody who holds one can change it for the others."""

import dataclasses
import inspect
import pkgutil
from importlib import import_module
from types import ModuleType

import pytest

import ticketlab

GROWING = {"Trace"}
"""Made to be written to, by one function that keeps it to itself."""


def modules(package: str) -> list[ModuleType]:
    names = [name for _, name, _ in pkgutil.iter_modules([f"{ticketlab.__path__[0]}/{package}"])]
    return [import_module(f"ticketlab.{package}.{name}") for name in names]


@pytest.mark.parametrize("package", ["spec", "tickets", "ledger"])
def test_data_classes_are_frozen(package: str) -> None:
    found = {one for module in modules(package) for _, one in inspect.getmembers(module, dataclasses.is_dataclass)}
    own = {one for one in found if one.__module__.startswith(f"ticketlab.{package}.")}
    assert len(own) > 3
    assert {one.__name__ for one in own if not one.__dataclass_params__.frozen} <= GROWING


def test_what_a_module_offers_is_there() -> None:
    offered = [(module, name) for module in modules("spec") for name in getattr(module, "__all__", ())]
    assert offered
    assert [name for module, name in offered if not hasattr(module, name)] == []
