//! A run's report as text.

use std::fmt::Write as _;

use maof::{AgentReport, ErrorKind, Report, StepReport};
use serde_json::Value;

/// Characters that a value may take in a line.
const WIDTH: usize = 88;

/// The report, for people.
pub(crate) fn text(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut out, report);
    out
}

fn write(out: &mut String, report: &Report) -> std::fmt::Result {
    let seconds = report.micros as f64 / 1e6;
    writeln!(out, "{} {} in {seconds:.2} s for {}", report.workflow, report.state.as_str(), report.cost)?;
    for step in &report.steps {
        write_step(out, step)?;
    }
    if !report.failed_attempts.is_empty() {
        writeln!(out, "\nfailed requests")?;
    }
    for failed in &report.failed_attempts {
        let (step, agent, endpoint) = (&failed.step, &failed.agent, &failed.endpoint);
        writeln!(out, "  {step}: {agent} at {endpoint} failed {} times ({})", failed.times, failed.error)?;
    }
    if let Some(failure) = &report.failure {
        writeln!(out, "\nfailed: {} ({})", failure.message, failure.kind)?;
    }
    if let Some(Value::Object(result)) = &report.result {
        writeln!(out, "\nresult")?;
        for (name, value) in result {
            writeln!(out, "  {name}: {}", short(value))?;
        }
    }
    writeln!(out, "\nrun {}", report.run)
}

fn write_step(out: &mut String, step: &StepReport) -> std::fmt::Result {
    let items = if step.items == 1 { "1 item".to_owned() } else { format!("{} items", step.items) };
    writeln!(out, "\n{} ({items})", step.step)?;
    let width = step.agents.iter().map(|a| a.agent.len()).max().unwrap_or(0).max(7);
    if !step.agents.is_empty() {
        writeln!(
            out,
            "  {:width$}  answers  stood in  retried      time        cost  dissent    right",
            "agent"
        )?;
    }
    for agent in &step.agents {
        write_agent(out, agent, width)?;
    }
    for agent in &step.agents {
        for replaced in &agent.instead_of {
            let why = match replaced.error {
                ErrorKind::BudgetExceeded => "whose budget was used up".to_owned(),
                ErrorKind::Timeout => "which did not answer in time".to_owned(),
                kind => format!("which failed ({kind})"),
            };
            writeln!(
                out,
                "  {} stood in {} times for {}, {why}",
                agent.agent, replaced.times, replaced.agent
            )?;
        }
    }
    if let Some(vote) = &step.vote {
        let right = vote.right.map(|r| format!(", right {}", share(r))).unwrap_or_default();
        writeln!(
            out,
            "  {:width$}  {} items, {} unanimous, {} by the tie rule{right}",
            "verdict", vote.items, vote.unanimous, vote.tied
        )?;
        for example in &vote.examples {
            let dissent: Vec<String> = example
                .dissent
                .iter()
                .map(|(agent, value)| format!("{agent} says {}", short(value)))
                .collect();
            let line =
                format!("item {}: {}; but {}", example.item, short(&example.verdict), dissent.join(", "));
            writeln!(out, "    {}", clip(&line, WIDTH * 2))?;
        }
    }
    Ok(())
}

fn write_agent(out: &mut String, agent: &AgentReport, width: usize) -> std::fmt::Result {
    let dissent = agent.dissented.map_or_else(|| "-".to_owned(), |n| n.to_string());
    let right = agent.right.map_or_else(|| "-".to_owned(), share);
    writeln!(
        out,
        "  {:width$}  {:7}  {:8}  {:7}  {:>8}  {:>10}  {dissent:>7}  {right:>7}",
        agent.agent,
        agent.answered,
        agent.stood_in,
        agent.retried,
        duration(agent.micros),
        agent.cost,
    )
}

fn share((hits, of): (u32, u32)) -> String {
    format!("{:.1} %", 100.0 * f64::from(hits) / f64::from(of.max(1)))
}

fn duration(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} us"),
        1_000..1_000_000 => format!("{:.1} ms", micros as f64 / 1e3),
        _ => format!("{:.2} s", micros as f64 / 1e6),
    }
}

/// One line, not too long.
fn short(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Object(map) if map.contains_key("label") => {
            map.get("label").and_then(Value::as_str).unwrap_or_default().to_owned()
        }
        other => other.to_string(),
    };
    clip(&text.replace('\n', " "), WIDTH)
}

fn clip(text: &str, width: usize) -> String {
    match text.char_indices().nth(width) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
