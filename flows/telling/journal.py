"""The journal of one retrain: what each stage found goes to MLflow as it happens, and into the report at the end."""

from __future__ import annotations

import hashlib
import json
import logging
import math
from datetime import datetime
from typing import Any

from configs.schema import RetrainConfig
from flows.services.preflight import studies_url
from flows.telling.links import find_links
from flows.telling.movements import Movements
from flows.telling.notes import write_notes
from flows.telling.occasions import Occasion
from flows.telling.provenance import code_version, resolved
from flows.telling.recording import SearchRecord, to_paste
from flows.telling.views import PLOTS, REPORT, find_views
from tasks.artifacts import publish_link, publish_report, publish_trials
from tasks.baselines import ANSWERED_TAG as ANSWERED_BY
from tasks.baselines import DECIDED, METRIC_TAG, STUDY_TAG
from tasks.errors import DataRejected, EvertuneError, ServiceUnavailable
from tasks.homes import Home
from tasks.models.model import Fitted
from tasks.models.recipes import Candidates, Recipe
from tasks.records import Decision, DriftReport, Evaluation, Result, Rows, Search, Split, Story, Table, Verdict
from tasks.registry import SETTINGS_FILE, Prior, verdict_tags, waits
from tasks.remembering import MEMORY_FILE, MODEL_TAG, recall, write_memory
from tasks.reporting import write_report
from tasks.reports.interactive import interactive_page
from tasks.settings.operation import Promote
from tasks.sources.source import mask
from tasks.splitting import sides
from tasks.stage import Timing
from tasks.tracking import Run, prefixed, service_fault
from tasks.validation import validation_page

SUMMARY_FILE = "summary.json"
MOST_DROPPED = 10_000
"""Rows that a policy left out, of which so many are kept with the run."""
BY_RECORD_ALONE = ("kept", "unchanged", "dry_run")
"""Verdicts that leave nothing in the registry: where the record of them is lost, the same retrain has to come to them again."""
log = logging.getLogger("evertune")


class Journal:
    """Write-only for the stages; `finish` and `fail` close it with a result, a summary and a report."""

    def __init__(
        self,
        config: RetrainConfig,
        as_of: datetime,
        home: Home,
        run: Run,
        prior: Prior,
        timing: Timing,
        occasion: Occasion,
        promote: Promote = "auto",
    ) -> None:
        self.promote = promote
        self.config, self.as_of, self.home, self.run, self.prior, self.timing = config, as_of, home, run, prior, timing
        self.identity = self.metric = ""
        self.memory = recall(run.tracker, config.model_name, as_of, config.tuning.memory.settings)
        self.movements = Movements(config, as_of, run, prior.champion)
        self._trials: SearchRecord | None = None
        self.figures: dict[str, float] = {}  # written last: MLflow lists metrics in the order they came, and scores matter most
        self.result: dict[str, Any] = {
            "model": config.model_name,
            "as_of": as_of.strftime("%Y-%m-%d") if as_of.time() == datetime.min.time() else as_of.isoformat(timespec="seconds"),
            "mlflow_run_id": run.id,
            "prefect_flow_run_id": occasion.flow_run_id,
        }
        self.told: dict[str, Any] = {
            "description": config.description,
            "started": datetime.now(as_of.tzinfo),
            "config": resolved(config),
            "champion": prior.champion,
            "earlier": self.memory.earlier,
            "trigger": occasion.trigger,
            "past": self.movements.past,
        }
        run.text(self.told["config"], "config.yaml")
        run.tags(
            {
                MODEL_TAG: config.model_name,
                "evertune.config_digest": config.digest(),
                "evertune.code": code_version(),
                "evertune.trigger": occasion.trigger,
            }
        )
        run.tags({"evertune.flow_run_id": occasion.flow_run_id or ""})
        self.links = find_links(home, run, occasion.flow_run_id)
        self._link_both_ways()

    def add(self, **told: Any) -> None:
        """Remember parts of the story that need no record of their own."""
        self.told |= told

    def add_table(self, table: Table, fresh: bool) -> None:
        """`fresh`: what the same retrain came to before is neither answered again nor gone on with."""
        self.add(table=table, findings=table.findings)
        prior = [found.version if found else "-" for found in (self.prior.champion, self.prior.later)]
        self.identity = _hash(self.config.model_name, table.digest, self.config.digest(), *prior, *self._wishes(fresh))
        source = self.told["source"]
        self.run.data_set(source, table)
        self.run.tags({"evertune.identity": self.identity, "evertune.data_digest": table.digest, "evertune.source": source.location})
        self.figures |= {"data/rows": len(table.frame), "data/unlabelled": table.unlabelled, "data/after_cut": table.after_cut}
        self.figures |= {"data/rows_read": source.rows, "data/columns_read": source.columns, "data/bytes_read": source.bytes}
        self.run.json(table.expectations, "validation/great_expectations.json")
        if table.dropped is not None:
            self.figures["data/dropped"] = len(table.dropped)
            self.run.text(table.dropped.head(MOST_DROPPED).to_csv(), "validation/dropped_rows.csv")
        if (rewriting := self.movements.note_table(table)) is not None:
            self.add(rewriting=rewriting)
            self.figures |= {"data/late": rewriting.late, "data/removed": rewriting.removed, "data/rewritten": rewriting.rewritten_rows}

    def _wishes(self, fresh: bool) -> list[str]:
        return [*([] if self.promote == "auto" else [self.promote]), *([self.run.id] if fresh else [])]

    def add_drift(self, drift: DriftReport) -> None:
        self.add(drift=drift)
        self.figures |= {"drift/columns": len(drift.columns), "drift/drifted": len(drift.drifted)} if drift.columns else {}
        self.movements.note_drift(drift)

    def add_split(self, split: Split, table: Table) -> None:
        """`table` with what the split alone could tell of leakage."""
        self.add(split=split, table=table, findings=table.findings, wear=self.movements.note_split(table, split))
        self.result["rows"] = {"train": len(split.train), "test": len(split.test)}
        self.figures |= {"data/train_rows": len(split.train), "data/test_rows": len(split.test)}

    def add_decision(self, decision: Decision) -> None:
        self.add(decision=decision)
        self.result |= {"tuned": decision.tune, "tune_reason": decision.reason}
        self.figures |= {f"decision/{name}": value for name, value in decision.figures.items() if math.isfinite(value)}
        self.run.tags({"evertune.tuning": "ran" if decision.tune else "skipped", "evertune.tune_reason": decision.reason})

    def begin_search(self) -> SearchRecord:
        """The record of this retrain's search, which begins now; its `add` writes one child run a trial."""
        self._trials = SearchRecord(self.run, self.metric)
        return self._trials

    def add_search(self, search: Search, candidates: Candidates, table: Table) -> None:
        """The whole search, once it has ended; what later retrains will remember of it."""
        self.add(search=search)
        self.result["trials"] = search.counts
        self.figures |= {f"trials/{state}": count for state, count in search.counts.items()}
        assert self._trials is not None
        self._trials.close(search)
        publish_trials(search)
        self.run.json(write_memory(search, self.as_of, candidates, table.newest), MEMORY_FILE)

    def add_model(self, fitted: Fitted, recipe: Recipe, candidates: Candidates) -> None:
        """What is trained, as a registry entry and the next retrain read it, and as people paste it into a config."""
        model = recipe.model
        self.add(family=model.identity, importance=_shares(fitted))
        self.result["hyperparameters"] = dict(model.shown)
        self.run.parameters({"family": model.identity, **model.shown})
        self.run.json({"family": model.identity, "hyperparameters": model.hyperparameters, **recipe.to_json()}, SETTINGS_FILE)
        self.run.json(to_paste(recipe, dict.fromkeys(candidates.extra, True)), "best_hyperparameters.json")

    def add_evaluation(self, evaluation: Evaluation) -> None:
        self.add(evaluation=evaluation)
        name = evaluation.metric
        self.result["metric"] = {"name": name, "challenger": evaluation.challenger[name], "champion": evaluation.champion.get(name)}
        self.run.tags({METRIC_TAG: name})
        if (interval := evaluation.interval) is not None:
            known = {key: getattr(interval, key) for key in ("difference", "low", "high")}
            self.result["metric"] |= {key: value if math.isfinite(value) else None for key, value in known.items()}
        self.run.metrics(evaluation.challenger | prefixed("champion", evaluation.champion))

    def add_verdict(self, verdict: Verdict) -> None:
        self.add(verdict=verdict)
        self.run.json([check.__dict__ for check in verdict.checks], "gate.json")

    @property
    def live_version(self) -> str | None:
        """The version that is live when nothing is promoted, whether or not this retrain may know it."""
        live = self.prior.later or self.prior.champion
        return live.version if live else None

    def version_identity(self, recipe: Recipe) -> str:
        """What a version is registered under: the same retrain that came to the same settings never registers a second one."""
        return _hash(self.identity, json.dumps(recipe.to_json(), sort_keys=True))

    def study(self) -> tuple[str, str]:
        """The study store's address and this search's name: the same retrain goes on with its own search."""
        name = f"{self.config.model_name}-{_hash(self.identity, self.memory.digest)}"
        self.run.tags({STUDY_TAG: name})
        return studies_url(self.home), name

    def add_candidate(self, table: Table, rows: Rows, recipe: Recipe, evaluation: Evaluation, verdict: Verdict) -> dict[str, Any]:
        """What a version says of itself, and what the next retrain starts from; the profile of its rows goes to the run."""
        champion = self.prior.champion
        self.movements.leave_profile(table, rows)
        if champion is not None and verdict.passed:
            self.add(undo=f"evertune rollback {self.config.model_name}")
        times = None if table.columns.time is None else table.frame[table.columns.time].iloc[rows]
        window = {} if times is None else {"evertune.trained_from": times.min(), "evertune.trained_through": times.max()}
        return {
            "evertune.family": recipe.model.identity,
            "evertune.as_of": self.as_of.isoformat(),
            "evertune.config_digest": self.config.digest(),
            "evertune.data_digest": table.digest,
            "evertune.sides": sides(table.columns, self.config.split),
            "evertune.rows": len(rows),
            "evertune.tuned": self.result["tuned"],
            **{key: moment.isoformat() for key, moment in window.items()},
            **verdict_tags(verdict, evaluation, champion),
        }

    def answered_before(self) -> Result | None:
        """The answer that an earlier run of the same identity came to; a promotion that was taken back stays so."""
        import mlflow.artifacts
        from mlflow.exceptions import MlflowException

        same = f"tags.`evertune.identity` = '{self.identity}' and attributes.status = 'FINISHED'"
        found = self.run.client.search_runs([self.run.tracker.experiment], same, order_by=["attributes.start_time DESC"])
        first_hand = [run for run in found if run.data.tags.get("evertune.verdict") in DECIDED and ANSWERED_BY not in run.data.tags]
        if not first_hand:
            return None
        answered_by = first_hand[0].info.run_id
        try:
            earlier = mlflow.artifacts.load_dict(f"runs:/{answered_by}/{SUMMARY_FILE}")
        except (MlflowException, OSError, ValueError) as error:
            log.warning("the answer of run %s cannot be read, so this retrain finds its own: %s", answered_by, mask(str(error)))
            return None
        if self.prior.champion and earlier["metric"].get("champion") is None:
            return None  # the champion could not be scored then; perhaps it can be now
        self.run.tags({ANSWERED_BY: answered_by})
        self.result |= {key: earlier[key] for key in ("tuned", "tune_reason", "trials", "hyperparameters", "metric", "rows")}
        again = f"{earlier['reason']} (answered again from run {answered_by})"
        if earlier["verdict"] == "ask" and not waits(self.run.tracker, self.config.model_name, earlier["version"]):
            return self.finish("kept", f"v{earlier['version']} waits no more: a person rejected it, or it was overtaken", self.live_version)
        if earlier["verdict"] in ("kept", "ask"):
            return self.finish(earlier["verdict"], again, version=earlier["version"])
        reason = f"the same retrain was promoted as v{earlier['version']}, which is no longer the champion; --force trains all the same"
        return self.finish("unchanged", reason, version=earlier["version"])

    def finish(self, verdict: Any, reason: str, version: str | None) -> Result:
        """The result, written wherever a user looks for it."""
        self.result |= {"verdict": verdict, "reason": reason, "version": version, "look": self.links.to_look()}
        try:
            name = f"{self.config.name} {self.result['as_of']} {verdict}"
            self.run.tags({"evertune.verdict": verdict, "evertune.reason": reason, "mlflow.runName": name})
            self.run.tags({"evertune.version": version} if version else {})
            self.run.json(self._result().to_dict(), SUMMARY_FILE)  # at once, and again at the end: the same retrain answers from it
            views = find_views(self.run, self._story())
            self.result["look"] = self.links.to_look(views)
            self._report()
            write_notes(self.run, self._story(), views, self.links.prefect)
            if self._trials is not None:
                self._trials.write_curve()
            result = self._result()
            self.run.metrics(self.figures | prefixed("seconds", result.seconds))
            self.run.json(result.to_dict(), SUMMARY_FILE)
        except Exception as error:
            self._bear_unwritten(verdict, error)
        return self._result()

    def _bear_unwritten(self, verdict: str, error: Exception) -> None:
        """What is registered, and may be live, stands. Of what changed nothing the record is all there is: ServiceUnavailable for that."""
        fault = service_fault(error)
        if fault is not None and verdict in BY_RECORD_ALONE:
            raise ServiceUnavailable(f"the verdict is {verdict}, but could not be written up: {fault}") from error
        why = str(fault or error).partition("; run ")[0]
        mended = "; the model's next retrain ends its run in MLflow" if fault else ""
        log.error(
            "the verdict %s stands, but could not be written up in full: %s%s", verdict, why, mended, exc_info=None if fault else error
        )

    def fail(self, error: EvertuneError) -> None:
        """The same for a run that ends in an error, which gets the summary too."""
        if isinstance(error, DataRejected):
            self.add(findings=error.findings)
        error.summary = self.finish(error.verdict, str(error), self.live_version).to_dict()

    def _report(self) -> None:
        if self.told.get("findings"):
            table: Table | None = self.told.get("table")
            suspects, dropped = (table.suspects, table.dropped) if table else ((), None)
            self.run.text(validation_page(self.told["findings"], suspects, dropped=dropped), "validation/validation.html")
        path = self.home.root / "reports" / f"{self.config.name}-{self.result['as_of'][:10]}-{self.run.id[:8]}.html"
        self.result["report"] = str(path)
        report = write_report(self._story())
        for name, drawing in report.plots.items():
            self.run.text(drawing, f"plots/{name}.svg")
        path.parent.mkdir(exist_ok=True)
        path.write_text(report.html, encoding="utf-8")
        self.run.text(report.html, REPORT)
        if "evaluation" in self.told:
            self.run.text(interactive_page(self._story()), PLOTS)
        self.run.text(report.markdown, "report.md")
        publish_report(report, self._result())

    def _story(self) -> Story:
        return Story(result=self._result(), **self.told)

    def _result(self) -> Result:
        seconds = dict(self.timing.seconds)
        return Result(**self.result, seconds={**seconds, "total": round(self.timing.total(), 3)})

    def _link_both_ways(self) -> None:
        """MLflow's run names Prefect's page, and Prefect's run has a link to MLflow's."""
        if self.links.prefect:
            self.run.tags({"prefect.flow_run": self.links.prefect})
        publish_link(
            "mlflow",
            self.links.mlflow,
            "The MLflow run" + (" (evertune up serves it)" if self.links.embedded else ""),
            "Scores, trials, plots and the model",
        )


def _hash(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _shares(fitted: Fitted) -> dict[str, float]:
    """Feature -> share of the total gain, the largest first."""
    gains = fitted.native.importance
    if gains is None or not gains.sum():
        return {}
    pairs = zip(fitted.features.names, gains / gains.sum(), strict=True)
    return {name: float(share) for name, share in sorted(pairs, key=lambda pair: -pair[1])}
