//! Adapters: which are in memory, how they come back, what rows in flight keep, and blends.

use std::fs;

use domain::adapter::BlendPart;

use super::*;
use crate::adapter_source::AdapterSource;
use crate::testing::tiny_adapter;
use crate::tuning::peft;

/// Writes the adapter of that seed where `name` belongs.
fn save(folder: &Path, name: &str, seed: u64, base_hash: &str) {
    let adapter = tiny_adapter(&tiny_config(), seed);
    peft::save(&folder.join(name), &adapter, "tiny", base_hash).unwrap();
}

/// Bytes of an adapter in memory.
fn size() -> usize {
    tiny_adapter(&tiny_config(), 1).bytes()
}

/// An engine with three adapters in files, `a`, `b` and `c`; only two may be in memory.
async fn engine_of_two() -> (Engine, TempDir) {
    let folder = tiny_model_dir();
    let limits = Limits { adapters: 2, ..Limits::default() };
    let engine = start(folder.path(), limits);
    for (seed, name) in [(1, "a"), (2, "b"), (3, "c")] {
        save(folder.path(), name, seed, engine.base_hash());
        engine.load_adapter(name, &folder.path().join(name)).await.unwrap();
    }
    (engine, folder)
}

async fn text(engine: &Engine, adapter: impl Into<AdapterChoice>) -> String {
    let wanted = GenerateRow { adapter: adapter.into(), ..row("p", None, 4) };
    engine.generate(vec![wanted]).unwrap().texts(1).await.unwrap().remove(0)
}

fn generation(engine: &Engine, adapter: &str) -> u64 {
    let found = engine.adapter_store().find(&engine.model(), &adapter.into());
    found.unwrap().unwrap().generation
}

#[tokio::test]
async fn who_waits_for_memory_that_rows_hold_gives_up_in_the_end() {
    let folder = tiny_model_dir();
    let waiting = Duration::ZERO;
    let limits = Limits { adapter_bytes: size(), waiting, ..Limits::default() };
    let engine = start(folder.path(), limits);
    for (seed, name) in [(1, "a"), (2, "b")] {
        save(folder.path(), name, seed, engine.base_hash());
    }
    engine.load_adapter("a", &folder.path().join("a")).await.unwrap();
    let held = engine.adapter_store().find(&engine.model(), &"a".into()).unwrap();
    let error = engine.load_adapter("b", &folder.path().join("b")).await.unwrap_err();
    assert!(
        error.code() == "overloaded" && error.to_string().contains("MB of adapters"),
        "{error}"
    );
    drop(held);
    engine.load_adapter("b", &folder.path().join("b")).await.unwrap();
}

#[tokio::test]
async fn an_adapter_that_left_comes_back_from_its_folder() {
    let (engine, _folder) = engine_of_two().await;
    let store = engine.adapter_store();
    assert_eq!(store.resident(), ["b", "c"]);
    assert_eq!(engine.adapters().len(), 3, "all are still known");
    let (a, b) = (text(&engine, "a").await, text(&engine, "b").await);
    assert_eq!(store.resident(), ["a", "b"], "`c` wasn't asked for the longest");
    assert_ne!(a, b);
    let before = generation(&engine, "a");
    assert_eq!(generation(&engine, "a"), before, "it stays while there is room");
    for name in ["b", "c"] {
        text(&engine, name).await;
    }
    assert_eq!(text(&engine, "a").await, a);
    assert!(generation(&engine, "a") > before, "every load is a generation of its own");
}

#[tokio::test]
async fn files_that_changed_meanwhile_are_a_new_adapter() {
    let (engine, folder) = engine_of_two().await;
    let before = text(&engine, "a").await;
    let hash = |engine: &Engine| engine.adapters().remove(0).hash;
    let old = hash(&engine);
    save(folder.path(), "a", 99, engine.base_hash());
    assert_eq!(text(&engine, "a").await, before, "what is in memory stays");
    for name in ["b", "c"] {
        text(&engine, name).await;
    }
    assert_ne!(text(&engine, "a").await, before);
    assert_ne!(hash(&engine), old);
    fs::remove_dir_all(folder.path().join("b")).unwrap();
    text(&engine, "c").await;
    let wanted = row("p", Some("b"), 1);
    let error = engine.generate(vec![wanted]).unwrap_err();
    assert_eq!(error.code(), "adapter");
    assert!(error.to_string().contains("`b`"), "{error}");
}

#[tokio::test]
async fn a_budget_is_checked_before_anything_is_read() {
    let folder = tiny_model_dir();
    let limits = Limits { adapter_bytes: size() - 1, ..Limits::default() };
    let engine = start(folder.path(), limits);
    save(folder.path(), "a", 1, engine.base_hash());
    // Cut behind its head: reading it would be another error.
    let tensors = folder.path().join("a").join(peft::MODEL_FILE);
    let bytes = fs::read(&tensors).unwrap();
    fs::write(&tensors, &bytes[..bytes.len() - 100]).unwrap();
    let error = engine.load_adapter("a", &folder.path().join("a")).await.unwrap_err().to_string();
    let needed = format!("needs {:.1} MB", size() as f64 / 1e6);
    assert!(error.contains(&needed) && error.contains("may take"), "{error}");
    assert_eq!(error.lines().count(), 2, "{error}");
    assert!(engine.adapters().is_empty());
}

#[test]
fn adapters_inside_of_the_binary_count_and_come_back_too() {
    let bench = Bench::new();
    let folder = TempDir::new().unwrap();
    save(folder.path(), "joint", 5, &bench.model.hash);
    let read = |file: &str| -> &'static [u8] {
        fs::read(folder.path().join("joint").join(file)).unwrap().leak()
    };
    let source = AdapterSource::BuiltIn("joint", read(peft::CONFIG_FILE), read(peft::MODEL_FILE));
    assert_eq!(source.bytes(), Some(size()));
    let adapters = Adapters::new(1, size(), Prefixes::new(0));
    adapters.load(&bench.model, "joint", source).unwrap();
    adapters.insert("other", tiny_adapter(&tiny_config(), 6));
    assert_eq!(adapters.resident(), ["other"]);
    assert!(adapters.find(&bench.model, &"joint".into()).unwrap().is_some());
    assert_eq!(adapters.resident(), ["joint"]);
}

#[test]
fn an_unknown_name_is_an_error_that_lists_the_known_ones() {
    let bench = Bench::new();
    bench.adapters.insert("joint", tiny_adapter(&tiny_config(), 1));
    let find = |choice| bench.adapters.find(&bench.model, &choice);
    assert!(find(AdapterChoice::Base).unwrap().is_none());
    let error = find("specific-XXX".into()).unwrap_err().to_string();
    assert!(error.contains("`specific-XXX`") && error.contains("`joint`"), "{error}");
}

#[test]
fn a_row_in_flight_keeps_its_generation_and_the_next_gets_the_new_one() {
    let wanted = row("p", Some("joint"), 4);
    let mut bench = Bench::new();
    bench.adapters.insert("joint", tiny_adapter(&tiny_config(), 1));
    let mut undisturbed = bench.push("one", std::slice::from_ref(&wanted));
    bench.finish();
    let undisturbed = said(&mut undisturbed);

    let mut bench = Bench::new();
    bench.adapters.insert("joint", tiny_adapter(&tiny_config(), 1));
    let find = |bench: &Bench| bench.adapters.find(&bench.model, &"joint".into()).unwrap().unwrap();
    let first = find(&bench);
    let mut old = bench.push("one", std::slice::from_ref(&wanted));
    (0..4).for_each(|_| bench.step());
    bench.adapters.insert("joint", tiny_adapter(&tiny_config(), 77));
    let second = find(&bench);
    assert!(second.generation > first.generation && first.is_retired() && !second.is_retired());
    let mut new = bench.push("one", &[wanted]);
    bench.step();
    assert_eq!(bench.live("one"), 2, "both are in the batch at once");
    bench.finish();
    assert_eq!(said(&mut old), undisturbed);
    let new = said(&mut new);
    assert_ne!(new, undisturbed);
    // The new row says what it says where only the new adapter has ever been.
    let mut fresh = Bench::new();
    fresh.adapters.insert("joint", tiny_adapter(&tiny_config(), 77));
    let mut expected = fresh.push("one", &[row("p", Some("joint"), 4)]);
    fresh.finish();
    assert_eq!(new, said(&mut expected));
}

#[test]
fn a_row_in_flight_keeps_an_adapter_that_had_to_leave() {
    let run = |disturb: bool| {
        let mut bench = Bench::new();
        bench.adapters = Adapters::new(1, usize::MAX, Prefixes::new(0));
        bench.adapters.insert("a", tiny_adapter(&tiny_config(), 1));
        let mut stream = bench.push("one", &[row("p", Some("a"), 4)]);
        (0..4).for_each(|_| bench.step());
        if disturb {
            bench.adapters.insert("b", tiny_adapter(&tiny_config(), 2));
            assert_eq!(bench.adapters.resident(), ["b"]);
        }
        bench.finish();
        said(&mut stream)
    };
    assert_eq!(run(true), run(false));
}

fn blend(parts: &[(&str, f64)]) -> AdapterChoice {
    let part = |&(adapter, weight): &(&str, f64)| BlendPart { adapter: adapter.to_owned(), weight };
    AdapterChoice::Blend(parts.iter().map(part).collect())
}

#[tokio::test]
async fn a_row_may_mix_adapters() {
    let (engine, _folder) = tiny_engine();
    for (name, seed) in [("a", 1), ("b", 2)] {
        engine.adapter_store().insert(name, tiny_adapter(&tiny_config(), seed));
    }
    let (a, base) = (text(&engine, "a").await, text(&engine, AdapterChoice::Base).await);
    assert_eq!(text(&engine, blend(&[("a", 1.0)])).await, a);
    assert_eq!(text(&engine, blend(&[("b", 0.0), ("a", 1.0)])).await, a);
    assert_eq!(text(&engine, blend(&[("b", 0.0)])).await, base);
    let mixed = text(&engine, blend(&[("a", 0.5), ("b", 0.5)])).await;
    assert!(mixed != a && mixed != base && mixed != text(&engine, "b").await);
    assert_eq!(text(&engine, blend(&[("b", 0.5), ("a", 0.5)])).await, mixed, "in any order");
    let find = |choice: &AdapterChoice| {
        engine.adapter_store().find(&engine.model(), choice).unwrap().unwrap()
    };
    let half = blend(&[("a", 0.5), ("b", 0.5)]);
    assert_eq!(find(&half).info.name, "0.5 a + 0.5 b");
    assert_eq!(find(&half).generation, find(&half).generation, "it is made once");
    assert_ne!(find(&half).info.hash, find(&blend(&[("a", 0.5), ("b", 0.6)])).info.hash);
    // All voices in one batch say what each says alone.
    let choices = [half.clone(), "a".into(), AdapterChoice::Base, half.clone()];
    let rows = choices.map(|adapter| GenerateRow { adapter, ..row("p", None, 4) });
    let together = engine.generate(rows.to_vec()).unwrap().texts(4).await.unwrap();
    assert_eq!(together, [mixed.clone(), a, base, mixed.clone()]);
    engine.adapter_store().insert("a", tiny_adapter(&tiny_config(), 9));
    assert_ne!(text(&engine, half).await, mixed, "a part was replaced");
}

#[tokio::test]
async fn blends_count_as_adapters_in_memory() {
    let folder = tiny_model_dir();
    // Room for three adapters and a blend of all of them.
    let limits = Limits { adapter_bytes: 6 * size(), ..Limits::default() };
    let engine = start(folder.path(), limits);
    for (name, seed) in [("a", 1), ("b", 2), ("c", 3)] {
        engine.adapter_store().insert(name, tiny_adapter(&tiny_config(), seed));
    }
    let all = blend(&[("a", 0.5), ("b", 0.5), ("c", 0.5)]);
    text(&engine, blend(&[("b", 0.5), ("c", 0.5)])).await;
    assert_eq!(engine.adapter_store().resident(), ["0.5 b + 0.5 c", "a", "b", "c"]);
    text(&engine, all.clone()).await;
    assert_eq!(engine.adapter_store().resident(), ["0.5 a + 0.5 b + 0.5 c", "a", "b", "c"]);
    let unknown = GenerateRow { adapter: blend(&[("a", 0.5), ("x", 0.5)]), ..row("p", None, 4) };
    assert_eq!(engine.generate(vec![unknown]).unwrap_err().code(), "unknown-adapter");
    let twice = GenerateRow { adapter: blend(&[("a", 0.5), ("a", 0.5)]), ..row("p", None, 4) };
    assert_eq!(engine.generate(vec![twice]).unwrap_err().code(), "invalid-request");
    // A blend is made of what is in memory, so that both must fit.
    let little = start(folder.path(), Limits { adapter_bytes: 5 * size(), ..Limits::default() });
    for (name, seed) in [("a", 1), ("b", 2), ("c", 3)] {
        little.adapter_store().insert(name, tiny_adapter(&tiny_config(), seed));
    }
    let wanted = GenerateRow { adapter: all, ..row("p", None, 4) };
    let error = little.generate(vec![wanted.clone()]).unwrap_err();
    assert!(error.code() == "adapter" && error.to_string().contains("fewer adapters"), "{error}");
    // Where even the parts don't fit together, waiting for others wouldn't help.
    let less = start(folder.path(), Limits { adapter_bytes: 2 * size(), ..Limits::default() });
    for (name, seed) in [("a", 1), ("b", 2), ("c", 3)] {
        less.adapter_store().insert(name, tiny_adapter(&tiny_config(), seed));
    }
    let error = less.generate(vec![wanted]).unwrap_err();
    assert!(error.code() == "invalid-request" && error.retry_after().is_none(), "{error}");
    assert!(error.to_string().contains("Ask for fewer"), "{error}");
}

#[test]
fn rows_that_wait_hold_no_more_adapters_than_there_is_memory_for() {
    let mut bench = Bench::new();
    bench.adapters = Adapters::new(64, 4 * size(), Arc::clone(&bench.prefixes));
    for (name, seed) in [("a", 1), ("b", 2)] {
        bench.adapters.insert(name, tiny_adapter(&tiny_config(), seed));
    }
    let mixed = |number: usize| {
        let adapter = blend(&[("a", 0.5), ("b", 0.01 * (number + 1) as f64)]);
        GenerateRow { adapter, ..row("p", None, 4) }
    };
    let mut taken = Vec::new();
    for number in 0..50 {
        match bench.try_push("one", &[mixed(number)]) {
            Ok(stream) => taken.push(stream),
            Err(error) => {
                assert!(error.code() == "overloaded" && error.retry_after().is_some(), "{error}");
            }
        }
        assert!(bench.adapters.bytes() <= 4 * size());
    }
    assert_eq!(
        (taken.len(), bench.places.free()),
        (1, 999),
        "a blend takes twice as much as a part"
    );
    // The same blend needs nothing more.
    taken.push(bench.push("one", &[mixed(0)]));
    bench.finish();
    assert_eq!(said(&mut taken[0]), said(&mut taken[1]));
    let _next = bench.push("one", &[mixed(49)]);
    bench.finish();
    assert!(bench.adapters.bytes() <= 4 * size());
    // Waiting wouldn't help a request that needs more than there is.
    let error = bench.try_push("one", &[mixed(1), mixed(2)]).unwrap_err();
    assert_eq!(error.code(), "invalid-request", "{error}");
    assert!(error.to_string().contains("MB of adapters"), "{error}");
    assert_eq!(bench.adapters.held(), 0);
}

#[test]
fn what_must_leave_has_left_before_another_is_read() {
    let bench = Bench::new();
    let folder = TempDir::new().unwrap();
    for (seed, name) in [(1, "a"), (2, "b")] {
        save(folder.path(), name, seed, &bench.model.hash);
    }
    // Cut behind its head, which says how much it takes: it can't be read.
    let tensors = folder.path().join("b").join(peft::MODEL_FILE);
    let bytes = fs::read(&tensors).unwrap();
    fs::write(&tensors, &bytes[..bytes.len() - 100]).unwrap();
    let adapters = Adapters::new(64, size(), Prefixes::new(0));
    let load = |name: &str| {
        let source = AdapterSource::Folder(folder.path().join(name));
        adapters.load(&bench.model, name, source)
    };
    load("a").unwrap();
    assert_eq!(load("b").unwrap_err().code(), "adapter");
    assert!(adapters.resident().is_empty(), "`a` had left");
    assert_eq!(adapters.bytes(), 0, "what wasn't read takes nothing");
    let held = adapters.find(&bench.model, &"a".into()).unwrap().unwrap();
    let error = load("b").unwrap_err();
    assert!(error.retry_after().is_some(), "{error}");
    assert_eq!(adapters.resident(), ["a"]);
    drop(held);
}
