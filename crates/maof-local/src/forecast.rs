//! The next values of a series by exponential smoothing, and how wrong that was on the series' own tail.
//!
//! ETS with automatic choice of the model (R. Hyndman et al., "A state space framework for automatic
//! forecasting using exponential smoothing methods", 2002) by the library `augurs`. The errors are those over
//! the last `horizon` values, which the model that is judged has not seen; beside them stands the error of
//! repeating the last value (the baseline).

use augurs::ets::AutoETS;
use augurs::prelude::*;
use maof_core::{Error, Result};
use serde::Deserialize;
use serde_json::{Value, json};

/// Values that are needed beside the tail.
const FEWEST: usize = 12;
/// Fitting takes about 20 µs for each value, twice: a series of this length some 80 ms.
const MOST: usize = 2_000;
const LONGEST: usize = 1_000;
/// The largest size of a value: beyond it squares lose their meaning.
const LARGEST: f64 = 1e12;

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

/// Takes `{"series": [numbers], "horizon": 6}`. Errors are in percent (`mape`, none where a value is zero) and
/// in units of the mean change from value to value (`mase`, none where the series is constant; R. Hyndman and
/// A. Koehler, 2006): below 1 is better than what repeating the last value achieves one step ahead.
pub(crate) fn answer(text: &str) -> Result<Value> {
    let Question { series, horizon } = read(text)?;
    let (head, tail) = series.split_at(series.len() - horizon);
    let (judged, _) = predict(head, horizon)?;
    let baseline = vec![head.last().copied().unwrap_or_default(); horizon];
    let (forecast, model) = predict(&series, horizon)?;
    Ok(json!({
        "forecast": forecast.into_iter().map(round).collect::<Vec<_>>(),
        "horizon": horizon,
        "model": model,
        "holdout_mape": mape(&judged, tail),
        "baseline_mape": mape(&baseline, tail),
        "holdout_mase": mase(&judged, tail, head),
        "baseline_mase": mase(&baseline, tail, head),
    }))
}

fn read(text: &str) -> Result<Question> {
    let question: Question = serde_json::from_str(text).map_err(|e| {
        Error::invalid_request(format!("write {{\"series\": [numbers], \"horizon\": 6}}: {e}"))
            .param("content")
    })?;
    let wrong = |field, why: String| Err(Error::invalid_request(why).param(field));
    let Question { series, horizon } = &question;
    if !(1..=LONGEST).contains(horizon) {
        return wrong("horizon", format!("`horizon` must be 1 to {LONGEST}, not {horizon}"));
    }
    let fewest = FEWEST + horizon;
    if !(fewest..=MOST).contains(&series.len()) {
        let why = format!(
            "`series` needs {fewest} to {MOST} values for a horizon of {horizon} ({FEWEST} more than the \
             horizon), and has {}",
            series.len()
        );
        return wrong("series", why);
    }
    match series.iter().position(|value| value.abs() > LARGEST) {
        Some(at) => {
            wrong("series", format!("value {at} of `series` is beyond {LARGEST:e}; scale the series"))
        }
        None => Ok(question),
    }
}

/// The next values, and the model's short name (`AAN`: additive error, additive trend, no season).
fn predict(series: &[f64], horizon: usize) -> Result<(Vec<f64>, String)> {
    let failed = |e: augurs::ets::Error| {
        Error::invalid_request("no model can be fitted to `series`").param("series").because(e)
    };
    let fitted = AutoETS::non_seasonal().fit(series).map_err(failed)?;
    let forecast = fitted.predict(horizon, None).map_err(failed)?.point;
    if forecast.iter().any(|value| !value.is_finite()) {
        return Err(Error::invalid_request("the model fitted to `series` leaves all bounds").param("series"));
    }
    Ok((forecast, fitted.model().model_type().to_string()))
}

/// Mean absolute percentage error; none where a value is zero.
fn mape(predicted: &[f64], actual: &[f64]) -> Option<f64> {
    let part = |(p, a): (&f64, &f64)| ((p - a) / a).abs();
    let sum: f64 = predicted.iter().zip(actual).map(part).sum();
    (!actual.contains(&0.0)).then(|| round(100.0 * sum / actual.len() as f64))
}

/// Mean absolute scaled error; none where `seen` never changes.
fn mase(predicted: &[f64], actual: &[f64], seen: &[f64]) -> Option<f64> {
    let mean = |differences: &mut dyn Iterator<Item = f64>| {
        let (sum, count) = differences.fold((0.0, 0), |(sum, count), d| (sum + d.abs(), count + 1));
        sum / f64::from(count.max(1))
    };
    let change = mean(&mut seen.iter().zip(seen.iter().skip(1)).map(|(a, b)| b - a));
    let error = mean(&mut predicted.iter().zip(actual).map(|(p, a)| p - a));
    (change > 0.0).then(|| round(error / change))
}

/// To two decimals.
fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ask(series: &[f64], horizon: usize) -> Result<Value> {
        answer(&json!({"series": series, "horizon": horizon}).to_string())
    }

    #[test]
    fn a_steady_rise_goes_on() {
        let series: Vec<f64> = (0..40).map(|i| 100.0 + 2.0 * f64::from(i)).collect();
        let answer = ask(&series, 4).unwrap();
        let next = answer["forecast"][0].as_f64().unwrap();
        assert!((next - 180.0).abs() < 2.0, "{answer}");
        assert!(answer["holdout_mape"].as_f64() < answer["baseline_mape"].as_f64(), "{answer}");
        assert_eq!(answer["baseline_mase"], 2.5, "the mean of 1, 2, 3 and 4 changes");
    }

    #[test]
    fn errors_that_mean_nothing_are_left_out() {
        let mut series = vec![5.0; 30];
        let constant = ask(&series, 3).unwrap();
        assert_eq!((&constant["holdout_mape"], &constant["holdout_mase"]), (&json!(0.0), &Value::Null));
        series[29] = 0.0;
        let zero = ask(&series, 3).unwrap();
        assert_eq!(zero["baseline_mape"], Value::Null);
    }

    #[test]
    fn what_cannot_be_forecast_is_refused_by_field() {
        let check = |text: &str, field: &str, part: &str| {
            let error = answer(text).unwrap_err();
            assert_eq!(error.field(), Some(field), "{error}");
            assert!(error.message().contains(part), "{error}");
        };
        check("no json", "content", "write {\"series\"");
        check("{\"series\": [1, 2], \"typo\": 1}", "content", "typo");
        check("{\"series\": [1, null]}", "content", "null");
        check("{\"series\": [1, 2, 3]}", "series", "needs 18 to 2000 values for a horizon of 6");
        check("{\"series\": [1, 2, 3], \"horizon\": 0}", "horizon", "1 to 1000, not 0");
        check("{\"series\": [1, 2, 3], \"horizon\": 1001}", "horizon", "1 to 1000, not 1001");
        let huge = json!({"series": vec![1e200; 30]}).to_string();
        check(&huge, "series", "value 0 of `series` is beyond 1e12");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_series_is_forecast_or_refused(
            series in prop::collection::vec(
                prop_oneof![Just(0.0), Just(1e12), Just(-1e12), Just(1e-300), -1e3..1e3],
                18..40,
            ),
            scale in prop_oneof![Just(1.0), Just(0.0), Just(1e-9)],
        ) {
            let series: Vec<f64> = series.into_iter().map(|v| v * scale).collect();
            match ask(&series, 6) {
                Ok(answer) => {
                    let forecast = answer["forecast"].as_array().unwrap();
                    prop_assert!(forecast.len() == 6 && forecast.iter().all(Value::is_number), "{}", answer);
                }
                Err(error) => prop_assert_eq!(error.field(), Some("series")),
            }
        }
    }
}
