"""What keeps a plugin process small: pydantic builds the SDK's models when they are first used."""

from __future__ import annotations

import pydantic
import pytest

from flow_resources.cloud.footprint import building_models_late


def test_a_model_that_is_imported_late_is_built_by_its_first_use() -> None:
    before = pydantic.BaseModel.model_config
    with building_models_late():

        class Late(pydantic.BaseModel):
            size: int

    class Other(pydantic.BaseModel):
        size: int

    assert pydantic.BaseModel.model_config == before
    assert (Late.__pydantic_complete__, Other.__pydantic_complete__) == (False, True)
    assert Late.model_validate({"size": "3"}).size == 3
    with pytest.raises(pydantic.ValidationError):
        Late.model_validate({"size": "many"})


def test_a_pydantic_that_builds_without_a_lock_builds_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(pydantic.main, "_rebuild_lock")
    with building_models_late():

        class Early(pydantic.BaseModel):
            size: int

    assert Early.__pydantic_complete__
