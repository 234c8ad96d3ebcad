/** Packages of Python that each format needs, as `pip install` takes them. */
export const CONVERTERS = {
  sklearn: 'scikit-learn skl2onnx onnxruntime joblib',
  xgboost: 'xgboost onnxmltools onnxruntime',
  lightgbm: 'lightgbm onnxmltools onnxruntime',
  keras: 'tensorflow tf2onnx onnxruntime',
  torch: 'torch onnx onnxscript onnxruntime',
  pmml: 'sklearn-pmml-model scikit-learn skl2onnx onnxruntime',
  mlflow: 'pyyaml, and what the model inside needs',
} as const;
export type ModelFormat = keyof typeof CONVERTERS;

/**
 * The Python program of `hotloop model convert`. Arguments: a JSON object {path, output, format, columns, shape}. Writes the ONNX file and
 * prints one JSON object {inputs, outputs, compared, difference}; a package that is missing is {missing: NAME}. It runs the well-kept
 * converters (skl2onnx, onnxmltools, tf2onnx, torch.onnx) and asks both models the same random rows.
 */
export const CONVERT_SCRIPT = `
import json, os, sys
import importlib

job = json.loads(sys.argv[1])
ROWS = 200

def need(name):
    try:
        return importlib.import_module(name)
    except ImportError:
        print(json.dumps({"missing": name}))
        sys.exit(3)

def random_rows(np, columns):
    return np.random.default_rng(1).normal(size=(ROWS, columns)).astype(np.float32)

def columns_of(model):
    found = getattr(model, "n_features_in_", None) or job.get("columns")
    if not found:
        raise SystemExit("the model does not say how many columns it takes: give --columns")
    return int(found)

def probabilities(model, x):
    return model.predict_proba(x) if hasattr(model, "predict_proba") else model.predict(x)

def from_sklearn(model):
    np = need("numpy")
    skl2onnx = need("skl2onnx")
    from skl2onnx.common.data_types import FloatTensorType
    for package, names in (("xgboost", ("XGBClassifier", "XGBRegressor")), ("lightgbm", ("LGBMClassifier", "LGBMRegressor"))):
        if package in sys.modules:
            register(package, names)
    columns = columns_of(model)
    options = {"zipmap": False} if hasattr(model, "predict_proba") else None
    onnx = skl2onnx.convert_sklearn(
        model, initial_types=[("input", FloatTensorType([None, columns]))],
        options=options, target_opset={"": 17, "ai.onnx.ml": 3},
    )
    x = random_rows(np, columns)
    return onnx.SerializeToString(), x, probabilities(model, x)

def register(package, names):
    from skl2onnx import update_registered_converter
    from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes, calculate_linear_regressor_output_shapes
    need("onnxmltools")
    home = importlib.import_module("onnxmltools.convert.%s.operator_converters.%s" % (package, "XGBoost" if package == "xgboost" else "LightGbm"))
    convert = home.convert_xgboost if package == "xgboost" else home.convert_lightgbm
    library = sys.modules[package]
    for name in names:
        shape = calculate_linear_classifier_output_shapes if name.endswith("Classifier") else calculate_linear_regressor_output_shapes
        options = {"options": {"nocl": [True, False], "zipmap": [True, False]}} if name.endswith("Classifier") else {}
        update_registered_converter(getattr(library, name), name, shape, convert, **options)

def load_pickle(path):
    if path.endswith(".skops"):
        skops = need("skops")
        import skops.io
        return skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))
    joblib = need("joblib")
    return joblib.load(path)

def from_boosted(model, package):
    np = need("numpy")
    need("onnxmltools")
    from onnxmltools.convert.common.data_types import FloatTensorType
    import onnxmltools
    counted = [getattr(model, name)() for name in ("num_features", "num_feature") if hasattr(model, name)]
    columns = int(getattr(model, "n_features_in_", 0) or (counted and counted[0]) or job.get("columns") or 0)
    if not columns:
        raise SystemExit("the model does not say how many columns it takes: give --columns")
    types = [("input", FloatTensorType([None, columns]))]
    if package == "lightgbm":
        onnx = onnxmltools.convert_lightgbm(model, initial_types=types, zipmap=False, target_opset=15)
    else:
        onnx = onnxmltools.convert_xgboost(model, initial_types=types, target_opset=15)
    x = random_rows(np, columns)
    if hasattr(model, "predict_proba"):
        expected = model.predict_proba(x)
    elif package == "xgboost":
        expected = model.predict(need("xgboost").DMatrix(x))
    else:
        expected = model.predict(x)
    return onnx.SerializeToString(), x, expected

def load_boosted(path, package):
    library = need(package)
    if path.endswith((".pkl", ".pickle", ".joblib")):
        return load_pickle(path)
    if package == "lightgbm":
        return library.Booster(model_file=path)
    booster = library.Booster()
    booster.load_model(path)
    return booster

def from_keras(path):
    np = need("numpy")
    tf = need("tensorflow")
    tf2onnx = need("tf2onnx")
    if os.path.isdir(path):
        return from_saved_model(path)
    model = tf.keras.models.load_model(path)
    return from_tensorflow(np, tf, tf2onnx, model, lambda x: model.predict(x, verbose=0), model.inputs)

def from_saved_model(path):
    np = need("numpy")
    tf = need("tensorflow")
    tf2onnx = need("tf2onnx")
    loaded = tf.saved_model.load(path)
    signature = loaded.signatures["serving_default"]
    inputs = list(signature.structured_input_signature[1].items())
    def answer(x):
        return list(signature(**{inputs[0][0]: x}).values())[0]
    return from_tensorflow(np, tf, tf2onnx, answer, lambda x: answer(tf.constant(x)).numpy(), [one for _, one in inputs])

def from_tensorflow(np, tf, tf2onnx, model, predict, inputs):
    if len(inputs) != 1:
        raise SystemExit("the model has %d inputs; export one, or convert it with tf2onnx and push the file" % len(inputs))
    shape = [d or 1 for d in inputs[0].shape[1:]]
    spec = (tf.TensorSpec([None] + shape, tf.float32, name="input"),)
    function = tf.function(lambda x: model(x), input_signature=spec)
    onnx, _ = tf2onnx.convert.from_function(function, input_signature=spec, opset=17)
    rename_output(onnx.graph, "output")
    x = np.random.default_rng(1).normal(size=[ROWS] + shape).astype(np.float32)
    return onnx.SerializeToString(), x, predict(x)

def rename_output(graph, name):
    old = graph.output[0].name
    graph.output[0].name = name
    for node in graph.node:
        node.input[:] = [name if one == old else one for one in node.input]
        node.output[:] = [name if one == old else one for one in node.output]

def from_torch(path):
    np = need("numpy")
    torch = need("torch")
    try:
        model = torch.jit.load(path, map_location="cpu")
    except RuntimeError:
        model = torch.load(path, map_location="cpu", weights_only=False)
    if not hasattr(model, "eval"):
        raise SystemExit("the file holds weights alone; save the whole module, or TorchScript, with torch.save(model, ...)")
    model.eval()
    shape = job.get("shape") or ([job["columns"]] if job.get("columns") else None)
    if not shape:
        raise SystemExit("PyTorch does not say what a model takes: give --columns, or --shape 3,32,32")
    x = np.random.default_rng(1).normal(size=[ROWS] + shape).astype(np.float32)
    torch.onnx.export(model, (torch.from_numpy(x[:2]),), job["output"], input_names=["input"], output_names=["output"],
                      dynamic_axes={"input": {0: "N"}, "output": {0: "N"}}, opset_version=17, dynamo=False)
    with torch.no_grad():
        expected = model(torch.from_numpy(x)).numpy()
    return open(job["output"], "rb").read(), x, expected

def from_pmml(path):
    need("sklearn_pmml_model")
    from sklearn_pmml_model.auto_detect import auto_detect_estimator
    model = auto_detect_estimator(pmml=path)
    texts = [name for name, field in model.fields.items() if field.get("optype") == "categorical" and name != model.target_field.get("name")]
    if texts:
        raise SystemExit("the PMML has categories (%s), which its converter does not take: make numbers of them first" % ", ".join(texts[:5]))
    # skl2onnx knows scikit-learn's own classes, which these are made from.
    plain = next(one for one in type(model).__mro__ if one.__module__.startswith("sklearn."))
    same = object.__new__(plain)
    same.__dict__.update(vars(model))
    same.n_features_in_ = int(model.n_features_)
    return from_sklearn(same)

def from_mlflow(folder):
    yaml = need("yaml")
    described = yaml.safe_load(open(os.path.join(folder, "MLmodel")))
    flavors = described["flavors"]
    def file(flavor, key, default):
        return os.path.join(folder, flavors[flavor].get(key) or default)
    if "onnx" in flavors:
        return open(file("onnx", "data", "model.onnx"), "rb").read(), None, None
    if "sklearn" in flavors:
        return from_sklearn(load_pickle(file("sklearn", "pickled_model", "model.pkl")))
    for package in ("xgboost", "lightgbm"):
        if package in flavors:
            return from_boosted(load_boosted(file(package, "data", "model.txt"), package), package)
    if "pytorch" in flavors:
        data = file("pytorch", "model_data", "data")
        found = [os.path.join(data, name) for name in os.listdir(data) if name.endswith((".pth", ".pt", ".pt2"))]
        return from_torch(found[0] if found else data)
    if "keras" in flavors or "tensorflow" in flavors:
        data = os.path.join(folder, flavors.get("tensorflow", flavors.get("keras", {})).get("data") or "data")
        for name in ("model.keras", "model.h5", "model"):
            if os.path.exists(os.path.join(data, name)):
                return from_keras(os.path.join(data, name))
        return from_keras(data)
    raise SystemExit("an MLflow model of flavors %s cannot be converted" % ", ".join(flavors))

READERS = {
    "sklearn": lambda path: from_sklearn(load_pickle(path)),
    "xgboost": lambda path: from_boosted(load_boosted(path, "xgboost"), "xgboost"),
    "lightgbm": lambda path: from_boosted(load_boosted(path, "lightgbm"), "lightgbm"),
    "keras": from_keras,
    "torch": from_torch,
    "pmml": from_pmml,
    "mlflow": from_mlflow,
}

def compare(onnx, x, expected):
    np = need("numpy")
    session = need("onnxruntime").InferenceSession(onnx, providers=["CPUExecutionProvider"])
    result = {
        "inputs": [[i.name, i.type, [str(d) for d in i.shape]] for i in session.get_inputs()],
        "outputs": [[o.name, o.type, [str(d) for d in o.shape]] for o in session.get_outputs()],
        "compared": 0, "difference": None,
    }
    if x is None:
        return result
    found = session.run(None, {session.get_inputs()[0].name: x})
    expected = np.asarray(expected, dtype=np.float64)
    sizes = [np.asarray(one) for one in found]
    same = [one for one in sizes if one.dtype.kind == "f" and one.size == expected.size]
    # A booster answers with one probability where its ONNX file gives one for each of two classes.
    pairs = [one[:, 1] for one in sizes if one.dtype.kind == "f" and one.shape == (len(x), 2) and expected.size == len(x)]
    same = same or pairs
    if not same:
        raise SystemExit("no output of the ONNX file has the size of what the model answers")
    result["compared"] = len(x)
    result["difference"] = float(np.abs(same[-1].astype(np.float64).reshape(-1) - expected.reshape(-1)).max())
    return result

onnx, x, expected = READERS[job["format"]](job["path"])
with open(job["output"], "wb") as file:
    file.write(onnx)
print(json.dumps(compare(onnx, x, expected)))
`;
