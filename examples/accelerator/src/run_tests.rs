//! What must hold of whole runs, checked with an observer that keeps everything.

use std::collections::HashMap;
use std::convert::Infallible;

use crate::graph::{Action, Why};
use crate::tiling::Tiling;
use crate::units::{bytes_per_ps, ceil_ps, float};
use crate::workload::estimate_actions;
use crate::{
    Finished, Graph, Hardware, Level, Model, Observer, Phase, Plan, Sample, Span, Summary, Work,
    Workload, matrix_flops, simulate,
};

/// Keeps all it is told.
#[derive(Debug, Default, PartialEq)]
struct Keeper {
    finished: Vec<String>,
    times: HashMap<u32, (u64, u64)>,
    engines: HashMap<(usize, u32, u32), Vec<(u64, u64)>>,
    levels: Vec<Option<Level>>,
    energy_pj: f64,
    samples: Vec<Sample>,
    operations: Vec<(u64, u64)>,
    stages: Vec<(u64, u64)>,
    passes: Vec<(u64, u64)>,
}

impl Observer for Keeper {
    type Error = Infallible;

    fn finished(&mut self, graph: &Graph, finished: &Finished) -> Result<(), Infallible> {
        let Action { work, place, .. } = graph.actions[finished.action as usize];
        let kind = match work {
            Work::Gemm { .. } => Some(0),
            Work::Vector { .. } => Some(1),
            Work::Load(_) | Work::Store(_) => Some(2),
            Work::Ring { .. } => Some(3),
            _ => None,
        };
        let times = (finished.start_ps, finished.end_ps);
        if let Some(kind) = kind {
            let engine = (kind, place, finished.engine);
            self.engines.entry(engine).or_default().push(times);
        }
        self.energy_pj += finished.cost.compute_pj;
        self.levels.push(finished.level);
        self.times.insert(finished.action, times);
        self.finished.push(format!("{finished:?}"));
        Ok(())
    }

    fn sample(&mut self, sample: &Sample) -> Result<(), Infallible> {
        self.samples.push(sample.clone());
        Ok(())
    }

    fn operation(&mut self, _: &Graph, span: &Span) -> Result<(), Infallible> {
        self.operations.push((span.start_ps, span.end_ps));
        Ok(())
    }

    fn stage(&mut self, _: &Graph, span: &Span) -> Result<(), Infallible> {
        self.stages.push((span.start_ps, span.end_ps));
        Ok(())
    }

    fn pass(&mut self, _: &Graph, span: &Span) -> Result<(), Infallible> {
        self.passes.push((span.start_ps, span.end_ps));
        Ok(())
    }
}

/// A model small enough to look at, with shapes that divide nothing evenly.
fn small_model(architecture: &str) -> Model {
    let text = format!(
        "{{\"model_type\": \"{architecture}\", \"hidden_size\": 600, \"num_hidden_layers\": 2,
          \"num_attention_heads\": 10, \"num_key_value_heads\": 5, \"intermediate_size\": 1500,
          \"vocab_size\": 5003, \"max_position_embeddings\": 4096}}"
    );
    Model::parse("small.json", &text).unwrap()
}

fn plan(architecture: &str, hardware: &str, prompt_tokens: u64, decode_steps: u64) -> Plan {
    let workload = Workload { prompt_tokens, decode_steps };
    let hardware = Hardware::open(hardware).unwrap();
    Plan::new(small_model(architecture), hardware, workload).unwrap()
}

fn run(plan: &Plan) -> (Summary, Keeper) {
    let mut keeper = Keeper::default();
    let Ok(summary) = simulate(plan, &mut keeper, |_| ());
    (summary, keeper)
}

/// Every kind of run there is: both blocks, one die and two, one chunk and several.
fn all_kinds() -> impl Iterator<Item = Plan> {
    [
        plan("llama", "server-2x4", 100, 2),
        plan("gpt2", "server-2x4", 1, 1),
        plan("llama", "edge-1x2", 700, 1),
        plan("gpt2", "edge-1x2", 65, 0),
        three_dies(),
    ]
    .into_iter()
}

/// More clusters than heads, and a ring of three.
fn three_dies() -> Plan {
    let mut hardware = Hardware::open("server-2x4").unwrap();
    hardware.dies = 3;
    let workload = Workload { prompt_tokens: 5, decode_steps: 1 };
    Plan::new(small_model("llama"), hardware, workload).unwrap()
}

#[test]
fn the_same_input_gives_the_same_events() {
    let plan = plan("llama", "server-2x4", 100, 2);
    let again = self::plan("llama", "server-2x4", 100, 2);
    assert!(run(&plan) == run(&again));
}

#[test]
fn every_action_runs_once_and_after_what_it_waits_for() {
    for plan in all_kinds() {
        let (summary, kept) = run(&plan);
        let graph = plan.graph();
        assert_eq!(summary.actions, graph.actions.len() as u64);
        let joins = graph.actions.iter().filter(|action| action.work == Work::Join).count();
        assert_eq!(kept.finished.len() + joins, graph.actions.len());
        assert_eq!(kept.times.len(), kept.finished.len());
        for edge in &graph.edges {
            if let (Some(from), Some(to)) = (kept.times.get(&edge.from), kept.times.get(&edge.to)) {
                assert!(from.1 <= to.0, "{edge:?}");
            }
        }
    }
}

#[test]
fn arrows_join_actions_that_are_shown() {
    for plan in all_kinds() {
        let graph = plan.graph();
        for edge in graph.edges.iter().filter(|edge| edge.why == Why::Data) {
            for end in [edge.from, edge.to] {
                assert_ne!(graph.actions[end as usize].work, Work::Join, "{edge:?}");
            }
        }
    }
}

#[test]
fn an_engine_does_one_thing_at_a_time() {
    for plan in all_kinds() {
        let (_, kept) = run(&plan);
        for (engine, mut times) in kept.engines {
            times.sort_unstable();
            assert!(times.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{engine:?}");
        }
    }
}

#[test]
fn all_engines_are_used() {
    let plan = plan("llama", "server-2x4", 100, 2);
    let (_, kept) = run(&plan);
    let of_kind = |kind| kept.engines.keys().filter(|(of, ..)| *of == kind).count();
    assert_eq!([0, 1, 2, 3].map(of_kind), [16, 8, 16, 2]);
}

#[test]
fn no_level_moves_more_than_its_bandwidth() {
    for plan in all_kinds() {
        let (_, kept) = run(&plan);
        let hardware = plan.hardware();
        let most = |gb_s: f64| gb_s * (1.0 + 1e-9);
        for sample in &kept.samples {
            for die in &sample.dies {
                assert!(die.l3_gb_s <= most(hardware.l3.bandwidth_gb_s), "{die:?}");
                assert!(die.l2_gb_s <= most(hardware.l2.bandwidth_gb_s), "{die:?}");
                let link = hardware.link.as_ref().map_or(0.0, |link| link.bandwidth_gb_s);
                assert!(die.link_gb_s <= most(link), "{die:?}");
            }
            for cluster in &sample.clusters {
                assert!(cluster.l1_gb_s <= most(hardware.l1.bandwidth_gb_s), "{cluster:?}");
                assert!(cluster.matrix_busy <= 1.0 + 1e-9, "{cluster:?}");
                assert!(cluster.vector_busy <= 1.0 + 1e-9, "{cluster:?}");
            }
        }
    }
}

#[test]
fn windows_follow_one_another_and_end_with_the_run() {
    let plan = plan("llama", "edge-1x2", 100, 1);
    let (summary, kept) = run(&plan);
    assert_eq!(kept.samples[0].start_ps, 0);
    assert!(kept.samples.windows(2).all(|pair| pair[0].end_ps == pair[1].start_ps));
    assert_eq!(kept.samples.last().unwrap().end_ps, summary.total_ps);
}

#[test]
fn energy_is_the_integral_of_power() {
    for plan in all_kinds() {
        let (summary, kept) = run(&plan);
        let integral: f64 = kept
            .samples
            .iter()
            .map(|sample| {
                let power: f64 = sample.dies.iter().map(|die| die.power_w).sum();
                power * float(sample.end_ps - sample.start_ps) * 1e-12
            })
            .sum();
        let last: f64 = kept.samples.last().unwrap().dies.iter().map(|die| die.energy_j).sum();
        assert!((integral / summary.energy_j - 1.0).abs() < 1e-9);
        assert!((last / summary.energy_j - 1.0).abs() < 1e-9);
    }
}

#[test]
fn energy_is_what_the_actions_say_they_cost() {
    for plan in all_kinds() {
        let (summary, kept) = run(&plan);
        let hardware = plan.hardware();
        let [l1, l2, l3] = [&hardware.l1, &hardware.l2, &hardware.l3].map(|m| m.energy_pj_per_byte);
        let link = hardware.link.as_ref().map_or(0.0, |link| link.energy_pj_per_byte);
        let shown = plan.graph().actions.iter().enumerate().filter(|(_, a)| a.work != Work::Join);
        let mut level_of: HashMap<u32, Option<Level>> = HashMap::new();
        for (text, level) in kept.finished.iter().zip(&kept.levels) {
            let id = text.split(&[' ', ','][..]).nth(3).unwrap().parse().unwrap();
            level_of.insert(id, *level);
        }
        let costs = crate::cost::CostModel::new(hardware, plan.model().element_bytes);
        let mut pj = 0.0;
        for (id, action) in shown {
            let id = u32::try_from(id).unwrap();
            pj += match (action.work, level_of[&id]) {
                (Work::Load(move_), Some(Level::L2)) => float(move_.bytes) * (l1 + l2),
                (Work::Load(move_) | Work::Store(move_), _) => float(move_.bytes) * (l1 + l2 + l3),
                (Work::Ring { bytes }, _) => float(bytes) * (2.0 * l2 + link),
                (work, _) => {
                    let cost = costs.of(&work);
                    cost.compute_pj + float(cost.l1_bytes) * l1
                }
            };
        }
        let watts = float(hardware.dies as u64) * hardware.die_static_w
            + float(hardware.clusters() as u64) * hardware.cluster_static_w;
        let energy = (pj + watts * float(summary.total_ps)) * 1e-12;
        // The second die of a transfer over the link is charged for its cache too.
        assert!((energy / summary.energy_j - 1.0).abs() < 1e-9, "{energy} {}", summary.energy_j);
    }
}

#[test]
fn operations_are_the_models_analytic_count() {
    for plan in all_kinds() {
        let (summary, _) = run(&plan);
        let (model, hardware) = (plan.model(), plan.hardware());
        let expected = matrix_flops(model, hardware, &plan.workload(), plan.chunk_tokens());
        assert_eq!(summary.matrix_flops, expected);
    }
    // By hand: one token of GPT-2 on one die with as many heads as positions are simple.
    let workload = Workload { prompt_tokens: 1, decode_steps: 0 };
    let plan =
        Plan::new(Model::open("gpt2").unwrap(), Hardware::open("edge-1x2").unwrap(), workload);
    let (summary, _) = run(&plan.unwrap());
    let block = 2 * (4 * 768 * 768 + 2 * 768 * 3072) + 4 * 768;
    assert_eq!(summary.matrix_flops, 12 * block + 2 * 768 * 50257);
}

#[test]
fn tiles_cover_every_weight_matrix_once_per_pass() {
    use crate::cache::BlockId;
    for plan in all_kinds() {
        let (graph, model) = (plan.graph(), plan.model());
        let mut elements: HashMap<(u32, &str), u64> = HashMap::new();
        for action in &graph.actions {
            let operation = &graph.operations[action.operation as usize];
            let pass = graph.stages[operation.stage as usize].pass;
            if let Work::Load(transfer) = action.work
                && let BlockId::Weight { .. } = transfer.block
            {
                assert_eq!(transfer.bytes, transfer.block_bytes);
                let count = transfer.bytes / model.element_bytes;
                *elements.entry((pass, operation.name)).or_default() += count;
            }
        }
        let per_pass = |name, each| {
            for (pass, shape) in (0..).zip(&graph.passes) {
                let seen = elements.get(&(pass, name)).copied().unwrap_or(0);
                let answers = shape.context >= plan.workload().prompt_tokens;
                let times = if name == "lm_head" { u64::from(answers) } else { model.layers };
                assert_eq!(seen, times * each, "{name} of {}", shape.name);
            }
        };
        per_pass("q_proj", model.hidden * model.query_width());
        per_pass("o_proj", model.hidden * model.query_width());
        per_pass("up_proj", model.hidden * model.intermediate);
        per_pass("down_proj", model.hidden * model.intermediate);
        per_pass("lm_head", model.hidden * model.vocabulary);
    }
}

#[test]
fn operations_stages_and_passes_each_add_up_to_the_run() {
    for plan in all_kinds() {
        let (summary, kept) = run(&plan);
        assert_eq!(summary.prefill_ps + summary.decode_ps, summary.total_ps);
        assert_eq!(kept.operations.len(), plan.graph().operations.len());
        assert_eq!(kept.stages.len(), plan.graph().stages.len());
        for spans in [&kept.operations, &kept.stages, &kept.passes] {
            assert_eq!(spans[0].0, 0);
            assert!(spans.windows(2).all(|pair| pair[0].1 == pair[1].0));
            assert_eq!(spans.last().unwrap().1, summary.total_ps);
        }
        let decodes = plan.graph().passes.iter().filter(|pass| pass.phase == Phase::Decode);
        assert_eq!(decodes.count() as u64, summary.decode_tokens);
    }
}

#[test]
fn clusters_that_store_at_once_share_the_memory_after_the_latency() {
    let plan = plan("llama", "server-2x4", 1, 0);
    let (_, kept) = run(&plan);
    let hardware = plan.hardware();
    // The last stores of the run: 64 bytes from each of a die's four clusters, which all end
    // their equal work at the same time.
    let (id, _) = plan
        .graph()
        .actions
        .iter()
        .enumerate()
        .rfind(|(_, action)| matches!(action.work, Work::Store(_)))
        .unwrap();
    let (start, end) = kept.times[&u32::try_from(id).unwrap()];
    let quarter = bytes_per_ps(hardware.l3.bandwidth_gb_s) / 4.0;
    assert!(quarter < bytes_per_ps(hardware.dma.bandwidth_gb_s));
    assert_eq!(end - start, 60_000 + 15_000 + ceil_ps(64.0 / quarter));
}

#[test]
fn faster_memory_is_never_slower_where_memory_is_the_limit() {
    let slow = plan("llama", "edge-1x2", 1, 3);
    let mut hardware = slow.hardware().clone();
    hardware.l3.bandwidth_gb_s *= 2.0;
    let fast = Plan::new(slow.model().clone(), hardware, slow.workload()).unwrap();
    assert!(run(&fast).0.total_ps < run(&slow).0.total_ps);
}

#[test]
fn a_workload_the_model_cannot_take_is_refused() {
    let refused = |prompt_tokens, decode_steps| {
        let hardware = Hardware::open("edge-1x2").unwrap();
        let workload = Workload { prompt_tokens, decode_steps };
        Plan::new(Model::open("gpt2").unwrap(), hardware, workload).unwrap_err().to_string()
    };
    assert_eq!(
        refused(1020, 5),
        "1020 prompt tokens and 5 decode steps, but the model takes 1 to 1024 tokens in all"
    );
    assert!(refused(0, 5).starts_with("0 prompt tokens"));
    assert!(refused(1, u64::MAX).contains("in all"));
}

#[test]
fn a_run_of_absurd_size_is_refused_with_an_estimate() {
    let text = include_str!("../models/llama-1.1b.json");
    let text = text.replace("\"num_hidden_layers\": 22", "\"num_hidden_layers\": 1000000");
    let model = Model::parse("deep.json", &text).unwrap();
    let mut hardware = Hardware::open("server-2x4").unwrap();
    hardware.l3.capacity_bytes = u64::MAX;
    let message = Plan::new(model, hardware, Workload::default()).unwrap_err().to_string();
    assert!(message.contains("the limit is 8e6"), "{message}");
}

#[test]
fn the_estimate_is_of_the_right_size() {
    // A limit is only as good as its estimate: within half and twice of what is made.
    let plan = Plan::new(
        Model::open("llama-1.1b").unwrap(),
        Hardware::open("server-2x4").unwrap(),
        Workload::default(),
    );
    let plan = plan.unwrap();
    let actual = float(plan.graph().actions.len() as u64);
    let (model, hardware) = (plan.model(), plan.hardware());
    let tiling = Tiling::new(model, hardware).unwrap();
    let estimate = estimate_actions(model, hardware, &plan.workload(), &tiling);
    assert!((0.5..2.0).contains(&(estimate / actual)), "{estimate} for {actual}");
}

#[test]
fn a_model_larger_than_the_memory_is_refused() {
    let mut hardware = Hardware::open("edge-1x2").unwrap();
    hardware.l3.capacity_bytes = 1 << 30;
    let model = Model::open("llama-1.1b").unwrap();
    let message = Plan::new(model, hardware, Workload::default()).unwrap_err().to_string();
    assert!(message.contains("needs 2103 MiB per die"), "{message}");
}

#[test]
fn sizes_that_would_overflow_are_refused_like_any_other() {
    for key in ["hidden_size", "num_hidden_layers", "intermediate_size", "vocab_size", "head_dim"] {
        let text = include_str!("../models/llama-1.1b.json");
        let mut config: serde_json::Value = serde_json::from_str(text).unwrap();
        config[key] = (1_u64 << 30).into();
        let model = Model::parse("huge.json", &config.to_string()).unwrap();
        let hardware = Hardware::open("server-2x4").unwrap();
        let message = Plan::new(model, hardware, Workload::default()).unwrap_err().to_string();
        assert!(message.contains("MiB per die"), "{key}: {message}");
    }
}
