"""Intake's settings: typed environment variables, read once."""

from pathlib import Path

from pydantic import Field, PostgresDsn, field_validator

from shared.settings import ServiceSettings


class Settings(ServiceSettings):
    """What intake needs besides what every service needs."""

    database_url_intake: PostgresDsn
    seal_keys: Path
    erasure_register: Path = Field(description="the file that remembers erasures, outside every database")
    catalogue_figure: int | None = Field(
        default=None,
        ge=1,
        description="how many procedures the town says it offers, for showing the catalogue beside it",
    )
    catalogue_figure_whose: str = Field(default="", description="whose figure that is, 'Vietnamese | English'")

    @field_validator("catalogue_figure", mode="before")
    @classmethod
    def _unset(cls, value: object) -> object:
        """Compose can only pass a variable that nobody has set as an empty one."""
        return None if value == "" else value

    @property
    def figure(self) -> tuple[int, str] | None:
        """The town's own figure with the sentence that says whose it is."""
        return (self.catalogue_figure, self.catalogue_figure_whose) if self.catalogue_figure is not None else None
