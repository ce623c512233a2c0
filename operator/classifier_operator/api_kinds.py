"""How the API server calls the kinds that the operator deals in. Of those that it makes, the builders' files say it."""

from dataclasses import dataclass

from classifier_operator.spec import GROUP, KIND, PLURAL, VERSION


@dataclass(frozen=True)
class ApiKind:
    """A kind, and where it is found."""

    name: str
    group: str
    version: str
    plural: str

    @property
    def api_version(self) -> str:
        """Return the group and version, as manifests have it."""
        return f"{self.group}/{self.version}" if self.group else self.version


IMAGE_CLASSIFIER = ApiKind(KIND, GROUP, VERSION, PLURAL)
PERSISTENT_VOLUME_CLAIM = ApiKind("PersistentVolumeClaim", "", "v1", "persistentvolumeclaims")
POD = ApiKind("Pod", "", "v1", "pods")
REPLICA_SET = ApiKind("ReplicaSet", "apps", "v1", "replicasets")
