//! Controls: what a certification asks for. A control set is data (YAML, read elsewhere); here is its shape.

use serde::{Deserialize, Serialize};

use crate::certification::EvidenceType;
use crate::id::ControlId;
use crate::severity::Severity;

/// Threshold a piece of evidence must meet beyond its own result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Threshold {
    /// Name of a metric of the evidence, for example `testcases`.
    pub metric: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<i64>,
}

/// What evidence satisfies a control.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EvidenceRequirement {
    pub evidence_type: EvidenceType,
    /// Overrides the organization's freshness for this control.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freshness_seconds: Option<i64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<Threshold>,
}

/// One control of an organization's control set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Control {
    pub id: ControlId,
    /// Name of the set it belongs to.
    pub framework: String,
    /// Unique in the set, for example `TEST-UNIT`.
    pub code: String,
    pub title: String,
    pub description: String,
    pub required: bool,
    pub severity: Severity,
    pub requirement: EvidenceRequirement,
    /// References to outside frameworks, for example `SOC2 CC8.1`.
    pub mappings: Vec<String>,
    pub version: i64,
}

/// A control set as it is written in YAML.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ControlSet {
    pub name: String,
    pub title: String,
    pub version: String,
    pub controls: Vec<ControlDefinition>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ControlDefinition {
    pub code: String,
    pub title: String,
    pub description: String,
    pub required: bool,
    pub severity: Severity,
    pub requirement: EvidenceRequirement,
    #[serde(default)]
    pub mappings: Vec<String>,
}
