//! Adapters: names, shapes, seeds, and gradients through the whole model.

use super::*;

#[test]
fn names_and_shapes_are_those_of_peft() {
    let config = tiny();
    let adapter = LoraAdapter::init(&config, LoraConfig::default(), 1, &Device::Cpu).unwrap();
    let parameters: HashMap<_, _> = adapter.parameters().into_iter().collect();
    assert_eq!(parameters.len(), 2 * 7 * 2);
    let shape = |name: &str| {
        parameters[&format!("base_model.model.model.layers.1.{name}.weight")].dims().to_vec()
    };
    assert_eq!(shape("self_attn.k_proj.lora_A"), [8, 24]);
    assert_eq!(shape("self_attn.k_proj.lora_B"), [12, 8]);
    assert_eq!(shape("mlp.down_proj.lora_A"), [8, 40]);
    assert_eq!(shape("mlp.down_proj.lora_B"), [24, 8]);
    let again = LoraAdapter::from_tensors(&config, LoraConfig::default(), &parameters).unwrap();
    for ((name, a), (other, b)) in adapter.parameters().iter().zip(again.parameters()) {
        assert_eq!((name, values(a)), (&other, values(&b)));
    }
}

#[test]
fn a_seed_fixes_every_bit_and_a_fresh_adapter_changes_nothing() {
    let config = tiny();
    let fresh =
        |seed| LoraAdapter::init(&config, LoraConfig::default(), seed, &Device::Cpu).unwrap();
    let all = |adapter: &LoraAdapter| -> Vec<f32> {
        adapter.parameters().iter().flat_map(|(_, x)| values(x)).collect()
    };
    assert_eq!(all(&fresh(3)), all(&fresh(3)));
    assert_ne!(all(&fresh(3)), all(&fresh(4)));
    let bound = (24_f32).powf(-0.5);
    for (name, tensor) in fresh(3).parameters() {
        let inside = values(&tensor).iter().all(|x| x.abs() <= bound);
        let zero = values(&tensor).iter().all(|&x| x == 0.0);
        assert!(inside && zero == name.contains("lora_B"), "{name}");
    }
}

#[test]
fn wrong_adapters_are_refused_by_name() {
    let config = tiny();
    let settings = LoraConfig::default();
    let good: HashMap<_, _> = LoraAdapter::init(&config, settings.clone(), 1, &Device::Cpu)
        .unwrap()
        .parameters()
        .into_iter()
        .collect();
    let refused = |settings: &LoraConfig, tensors: &HashMap<String, Tensor>| {
        LoraAdapter::from_tensors(&config, settings.clone(), tensors).unwrap_err().to_string()
    };
    let name = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight";
    let mut wrong = good.clone();
    wrong.insert(name.to_owned(), Tensor::zeros((8, 32), DType::F32, &Device::Cpu).unwrap());
    let message = refused(&settings, &wrong);
    assert!(
        message.contains(&format!("`{name}` must have the shape [8, 24], got [8, 32]")),
        "{message}"
    );
    wrong.remove(name);
    assert!(refused(&settings, &wrong).contains(&format!("`{name}` is missing")));
    let fewer = LoraConfig { target_modules: vec!["q_proj".to_owned()], ..settings.clone() };
    assert!(refused(&fewer, &good).contains(
        "`base_model.model.model.layers.0.mlp.down_proj.lora_A.weight` changes no layer"
    ));
    let unknown = LoraConfig { target_modules: vec!["w1".to_owned()], ..settings.clone() };
    assert!(refused(&unknown, &good).contains("`target_modules`"));
    assert!(refused(&LoraConfig { r: 0, ..settings }, &good).contains("`r`"));
}

/// The whole model's loss for two segments, the second with the adapter or both.
fn loss(model: &Decoder, adapter: &Arc<LoraAdapter>, both: bool) -> Tensor {
    let tokens = tokens(11, 21);
    let segments = segments(&[(4, both.then_some(0)), (7, Some(0))]);
    let adapters = [adapter.clone()];
    let batch = PackedBatch { tokens: &tokens, segments: &segments, adapters: &adapters };
    let hidden = model.forward(&batch, None).unwrap();
    let rows = Tensor::new(&[2_u32, 5, 6, 10], &Device::Cpu).unwrap();
    model
        .loss(&hidden.index_select(&rows, 0).unwrap(), &[3, 9, 27, 31], &[1.0, 2.0, 0.5, 1.0])
        .unwrap()
}

/// Checks the loss's gradient of some entries of a variable against central differences.
#[track_caller]
fn check(name: &str, variable: &Var, gradient: &Tensor, loss: impl Fn() -> Tensor) {
    let (base, gradient) = (values(variable), values(gradient));
    let set = |values: Vec<f32>| {
        variable.set(&Tensor::from_vec(values, variable.shape(), &Device::Cpu).unwrap()).unwrap();
    };
    for entry in [0, base.len() / 3, base.len() - 1] {
        let at = |change: f32| {
            let mut moved = base.clone();
            moved[entry] += change;
            set(moved);
            f64::from(loss().to_scalar::<f32>().unwrap())
        };
        let slope = (at(1e-2) - at(-1e-2)) / 2e-2;
        let error = (slope - f64::from(gradient[entry])).abs();
        let given = gradient[entry];
        assert!(
            error < 2e-4 + 2e-2 * slope.abs(),
            "{name}[{entry}]: {given}, {slope} by differences"
        );
    }
    set(base);
}

#[test]
fn adapter_gradients_equal_finite_differences() {
    let config = tiny();
    let model = decoder(&config, &weights(&config, 20));
    let every = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];
    for (modules, both) in
        [(&every[..], true), (&every[..], false), (&["k_proj", "up_proj"][..], true)]
    {
        let adapter = Arc::new(adapter(&config, modules, 22));
        let gradients = loss(&model, &adapter, both).backward().unwrap();
        for (name, tensor) in adapter.parameters() {
            let gradient = gradients.get(&tensor).unwrap();
            let variable = Var::from_tensor(&tensor).unwrap();
            check(&name, &variable, gradient, || loss(&model, &adapter, both));
        }
    }
}

#[test]
fn weight_gradients_equal_finite_differences_and_the_composition() {
    let config = tiny();
    let variables: HashMap<String, Var> = weights(&config, 23)
        .into_iter()
        .map(|(name, x)| (name, Var::from_tensor(&x).unwrap()))
        .collect();
    let tensors: HashMap<_, _> =
        variables.iter().map(|(name, x)| (name.clone(), x.as_tensor().clone())).collect();
    let model = decoder(&config, &tensors);
    let (tokens, segments) = (tokens(11, 24), segments(&[(4, None), (7, None)]));
    let weights = vec![1.0; tokens.len()];
    let loss = || {
        let batch = PackedBatch { tokens: &tokens, segments: &segments, adapters: &[] };
        model.loss(&model.forward(&batch, None).unwrap(), &tokens, &weights).unwrap()
    };
    let gradients = loss().backward().unwrap();
    let logits = naive::logits(&config, &tensors, &tokens, &segments).unwrap();
    let targets = Tensor::new(&tokens[..], &Device::Cpu).unwrap();
    let composed = candle_nn::loss::cross_entropy(&logits, &targets).unwrap().backward().unwrap();
    for (name, variable) in &variables {
        let gradient = gradients.get(variable).unwrap();
        close(gradient, composed.get(variable).unwrap(), 1e-4);
        check(name, variable, gradient, loss);
    }
}
