"""FastAPI as tutorials have it, with the plain pipeline and ONNX Runtime's defaults: model, preprocessing, port."""

import json
import sys
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, UploadFile

from tests.benchmarks.serving.plain import Plain, Preprocess


def make_app(plain: Plain) -> FastAPI:
    app = FastAPI()

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/predict")
    def predict(request: UploadFile) -> dict[str, Any]:
        return {"predictions": plain.classify(request.file.read())}

    return app


if __name__ == "__main__":
    model, preprocess, port = sys.argv[1:]
    served = Plain(Path(model), Preprocess(**json.loads(preprocess)), threads=0)
    uvicorn.run(make_app(served), host="127.0.0.1", port=int(port), log_level="warning")
