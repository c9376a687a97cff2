"""What all tables of farthing.toml have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
#: One pattern or several, any of which may match; `*` and `?` are wildcards.
Patterns = str | list[str]


class Section(BaseModel):
    """A table of farthing.toml; a key that it does not know is an error, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)
