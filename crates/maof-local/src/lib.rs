//! Agents that run in process: sentiment, summary, key phrases, forecast.
