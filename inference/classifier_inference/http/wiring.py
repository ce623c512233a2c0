"""Puts the application together: which part is given which others."""

from starlette.types import ASGIApp

from classifier_inference.http import hugging_face, page, probes
from classifier_inference.http.answering import Answering
from classifier_inference.http.api_keys import ApiKeys
from classifier_inference.http.app import make_api, make_app
from classifier_inference.http.middleware import FrontDesk
from classifier_inference.http.mlflow import run_routes
from classifier_inference.http.open_inference import model_routes
from classifier_inference.http.settings import Settings
from classifier_inference.http.v1 import health, predict
from classifier_inference.log.log_collector import LogCollector
from classifier_inference.log.open_log import describe_tracking
from classifier_inference.log.runs.tracker import Tracker
from classifier_inference.model.loaded_classifier import LoadedClassifier
from classifier_inference.spec.classifier import Classifier
from classifier_inference.telemetry.metrics import Metrics


def wire_app(
    classifier: Classifier, settings: Settings, answering: Answering, desk: FrontDesk, keys: ApiKeys | None
) -> ASGIApp:
    """Return the ASGI application of one server."""
    spec = classifier.spec
    lifecycle, metrics, log = answering.lifecycle, answering.metrics, answering.log
    tracking = describe_tracking(classifier, settings.spool, settings.pod, settings.namespace, settings.ca_file)
    tracker = Tracker(tracking) if tracking is not None else None
    handler = predict.make_predict(answering, spec.limits)
    routers = (
        predict.make_router(handler, spec.limits),
        health.make_router(lifecycle, spec.runtime, log, asks_for_keys=keys is not None),
        hugging_face.make_router(answering, spec.limits),
        model_routes.make_router(classifier, lifecycle, answering, metrics),
        run_routes.make_router(tracker, lifecycle, answering.admission, answering.finder, spec.prediction_log.window),
        probes.make_router(lifecycle, metrics.registry),
        page.make_router(),
    )
    api = make_api(classifier.name, routers, asks_for_keys=keys is not None)
    return make_app(api, handler, desk, keys, settings.root_path, settings.cors)


def watch(answering: Answering) -> None:
    """Have the metrics tell what changes by itself."""
    metrics, admission = answering.metrics, answering.admission
    metrics.queue_length.set_function(lambda: admission.pool.waiting)
    metrics.memory.set_function(lambda: admission.memory.used)
    metrics.memory_limit.set_function(lambda: admission.memory.limit)
    metrics.ready.set_function(lambda: answering.lifecycle.is_ready)
    if answering.log is not None:
        metrics.registry.register(LogCollector(answering.log.spool))


def tell_loaded(metrics: Metrics, loaded: LoadedClassifier) -> None:
    """Have the metrics say which model is served."""
    metrics.model_load.set(loaded.load_seconds)
    metrics.model_info.labels(loaded.name, loaded.spec.model.version, loaded.sha256, loaded.model.provider).set(1)
