//! The next values of a series by exponential smoothing, and how wrong that was on the series' own tail.
//!
//! ETS with automatic choice of the model (R. Hyndman et al., "A state space framework for automatic
//! forecasting using exponential smoothing methods", 2002) by the `augurs` library. The error is the mean
//! absolute percentage error over the last `horizon` values, which the model that is judged has not seen;
//! beside it stands that of repeating the last value.

use augurs::ets::AutoETS;
use augurs::prelude::*;
use maof_core::{Error, Result};
use serde::Deserialize;
use serde_json::{Value, json};

/// Values that are needed beside the tail.
const FEWEST: usize = 12;
const MOST: usize = 10_000;
const LONGEST: usize = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    series: Vec<f64>,
    #[serde(default = "default_horizon")]
    horizon: usize,
}

fn default_horizon() -> usize {
    6
}

/// Takes `{"series": [numbers], "horizon": 6}`.
pub(crate) fn answer(text: &str) -> Result<Value> {
    let question: Question = serde_json::from_str(text).map_err(|e| {
        Error::invalid_request(format!("write {{\"series\": [numbers], \"horizon\": 6}}: {e}"))
            .param("content")
    })?;
    let Question { series, horizon } = question;
    if horizon == 0 || horizon > LONGEST {
        return Err(Error::invalid_request("must be 1 to 1000").param("horizon"));
    }
    if series.len() < FEWEST + horizon || series.len() > MOST {
        let why = format!("needs {} to {MOST} values for a horizon of {horizon}", FEWEST + horizon);
        return Err(Error::invalid_request(why).param("series"));
    }
    if series.iter().any(|v| !v.is_finite()) {
        return Err(Error::invalid_request("has a value that is no finite number").param("series"));
    }
    let (head, tail) = series.split_at(series.len() - horizon);
    let judged = predict(head, horizon)?;
    let last = head.last().copied().unwrap_or_default();
    let forecast = predict(&series, horizon)?;
    Ok(json!({
        "forecast": forecast.iter().map(|v| round(*v)).collect::<Vec<_>>(),
        "horizon": horizon,
        "holdout_mape": mape(&judged, tail),
        "baseline_mape": mape(&vec![last; horizon], tail),
    }))
}

fn predict(series: &[f64], horizon: usize) -> Result<Vec<f64>> {
    let failed =
        |e: augurs::ets::Error| Error::invalid_request("cannot be fitted").param("series").because(e);
    let fitted = AutoETS::non_seasonal().fit(series).map_err(failed)?;
    Ok(fitted.predict(horizon, None).map_err(failed)?.point)
}

/// Mean absolute percentage error; none where a value is zero.
fn mape(predicted: &[f64], actual: &[f64]) -> Option<f64> {
    if actual.contains(&0.0) {
        return None;
    }
    let sum: f64 = predicted.iter().zip(actual).map(|(p, a)| ((p - a) / a).abs()).sum();
    Some(round(100.0 * sum / actual.len() as f64))
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_rise_goes_on() {
        let series: Vec<f64> = (0..40).map(|i| 100.0 + 2.0 * f64::from(i)).collect();
        let answer = answer(&json!({"series": series, "horizon": 4}).to_string()).unwrap();
        let next = answer["forecast"][0].as_f64().unwrap();
        assert!((next - 180.0).abs() < 2.0, "{answer}");
        assert!(answer["holdout_mape"].as_f64() < answer["baseline_mape"].as_f64(), "{answer}");
    }

    #[test]
    fn what_cannot_be_forecast_is_refused_by_field() {
        let check = |text: &str, field: &str| {
            assert_eq!(answer(text).unwrap_err().field(), Some(field), "{text}");
        };
        check("no json", "content");
        check("{\"series\": [1, 2], \"typo\": 1}", "content");
        check("{\"series\": [1, 2, 3]}", "series");
        check("{\"series\": [1, 2, 3], \"horizon\": 0}", "horizon");
    }
}
