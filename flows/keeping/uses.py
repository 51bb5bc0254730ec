"""What registered versions need of the runs and models that are stored, under whatever name they are registered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flows.keeping.cleaning import Retrain
    from tasks.tracking import Tracker

PAGE = 1000


@dataclass(frozen=True)
class Use:
    """A registered version of any model, and where its files are."""

    name: str
    version: str
    run_id: str
    addresses: tuple[str, ...]

    def names(self, which: str) -> bool:
        """Whether an address of it holds that id of a run or logged model; MLflow puts them into every address it makes."""
        return any(which in address for address in self.addresses)

    def rests_on(self, retrain: Retrain) -> bool:
        """Whether it is not the retrain's own, and needs its run or one of its models."""
        if not retrain.id or (self.name, self.version) in {(own.name, str(own.version)) for own in retrain.versions}:
            return False
        return self.run_id == retrain.id or any(map(self.names, (retrain.id, *(model.model_id for model in retrain.logged))))


def read_uses(tracker: Tracker) -> list[Use]:
    """Every version of every registered model. A copy of a version names that one: where its files are has to be asked."""
    found: list[Use] = []
    token: str | None = None
    while token != "":
        page = tracker.client.search_model_versions(max_results=PAGE, page_token=token)
        for version in page:
            number, source = str(version.version), str(version.source)
            addresses: tuple[str, ...] = (source, str(version.model_id or ""))
            if source.startswith("models:/") and not source.startswith("models:/m-"):
                addresses += (str(tracker.client.get_model_version_download_uri(version.name, number)),)
            found.append(Use(version.name, number, str(version.run_id or ""), addresses))
        token = page.token or ""
    return found
