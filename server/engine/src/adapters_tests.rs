//! Names, and what becomes of one that is read while others ask for it or give it up.

use super::*;
use crate::testing::{tiny_adapter, tiny_config};

#[test]
fn lists_joint_adapters_first_and_knows_cultures() {
    let adapters = Adapters::new(64, usize::MAX, Prefixes::new(0));
    for name in ["a/specific-KEN@step-2", "specific-THA", "a/joint", "specific-BOL", "joint"] {
        adapters.insert(name, tiny_adapter(&tiny_config(), 1));
    }
    let list = adapters.list();
    let names: Vec<&str> = list.iter().map(|info| info.name.as_str()).collect();
    let expect = ["joint", "a/joint", "specific-BOL", "specific-THA", "a/specific-KEN@step-2"];
    assert_eq!(names, expect);
    assert_eq!(list[0].culture, None);
    assert_eq!(list[3].culture, "THA".parse().ok());
    assert_eq!(list[4].culture, "KEN".parse().ok());
    adapters.forget("a/joint");
    assert_eq!(adapters.list().len(), 4);
    assert!(!adapters.resident().contains(&"a/joint".to_owned()));
}

#[test]
fn a_name_that_is_given_up_while_it_is_read_does_not_come_back() {
    let adapters = Adapters::new(64, usize::MAX, Prefixes::new(0));
    let matrices = tiny_adapter(&tiny_config(), 1);
    adapters.insert("a", matrices.clone());
    adapters.lock().residents.remove(&Key::Named("a".to_owned()));
    // Somebody asks for `a`, which isn't in memory; before it is read, it is forgotten.
    let read = {
        let mut state = adapters.lock();
        let memory = state.residents.reserve("a", matrices.bytes(), 0).unwrap();
        state.named("a", "00", matrices.clone(), memory).unwrap()
    };
    adapters.forget("a");
    let found = adapters.lock().take_back(read, AdapterSource::Memory(matrices));
    assert!(found.is_retired(), "the row that asked for it gets it");
    assert!(adapters.list().is_empty() && adapters.resident().is_empty());
    drop(found);
    assert_eq!(adapters.bytes(), 0);
}

#[test]
fn two_who_ask_at_once_share_what_is_read() {
    let folder = crate::testing::tiny_model_dir();
    let source = crate::ModelSource::Folder(folder.path().to_owned());
    let model = LoadedModel::load(&source, &candle_core::Device::Cpu).unwrap();
    let matrices = tiny_adapter(&tiny_config(), 1);
    let adapters = Adapters::new(64, matrices.bytes(), Prefixes::new(0));
    adapters.insert("a", matrices);
    adapters.lock().residents.remove(&Key::Named("a".to_owned()));
    let found: Vec<Arc<NamedAdapter>> = std::thread::scope(|scope| {
        let ask = || adapters.find(&model, &"a".into()).unwrap().unwrap();
        let asking: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        asking.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(found.iter().all(|other| other.generation == found[0].generation));
}

#[test]
fn a_hash_is_told_by_its_first_digits() {
    let adapter = tiny_adapter(&tiny_config(), 1);
    let named = NamedAdapter::new("joint", &"ab".repeat(32), adapter, 1);
    assert_eq!(named.info.hash, "abababababab");
}

#[test]
fn odd_names_are_refused() {
    for name in ["", "a/", "/b", "a/../b", "a/b/c", "..", ".hidden", "a b", "\n", &"x".repeat(65)] {
        assert!(check_name(name).is_err(), "{name:?}");
    }
    assert!(check_name("specific-THA_2.1").is_ok());
    assert!(check_name("method-3/joint@step-12").is_ok());
}
