"""Decide: whether an object's addresses in MLflow's registry fit together. No I/O."""

from classifier_inference.spec.classifier import ClassifierSpec
from classifier_inference.spec.uri import Address, ModelsUri, parse_uri


def find_address_problem(spec: ClassifierSpec) -> str | None:
    """Return what is wrong with the addresses, with the field that it is in, or None."""
    model = parse_uri(spec.model.uri)
    uris = {"model.uri": spec.model.uri, "model.labels.uri": spec.model.labels.uri}
    uris |= {f"selfTest[{number}].image.uri": test.image.uri for number, test in enumerate(spec.self_test)}
    for field, uri in uris.items():
        address = parse_uri(uri) if uri else None
        if not isinstance(address, ModelsUri):
            continue
        if spec.tracking.mode == "None":
            return f"spec.{field}: models:/ is looked up in MLflow: set tracking to Managed or External"
        if address.alias is not None and not is_of(address, model):
            return f"spec.{field}: an alias must be model.uri's own, so that model and files are of one version"
    return None


def is_of(address: ModelsUri, model: Address) -> bool:
    """Return whether a file's address names the version that a model's address does."""
    return isinstance(model, ModelsUri) and (address.name, address.alias) == (model.name, model.alias)
