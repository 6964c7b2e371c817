//! The parts of records that policies may keep from readers who may read the rest. The same policies that list and call
//! tools are asked, under names of their own (`see:…`), and what they forbid is left out wherever the record is shown.

domain::words! {
    /// A part of a record, as policies name it. All of them may be absent anyway, so that an answer without one has the
    /// shape it always has; its `hidden` says that a policy left it out.
    Field {
        /// Where in the code a provider found something.
        BlockerLocation = "see:blocker.location",
        BlockerComponent = "see:blocker.component",
        /// What the importer remarked about a file.
        EvidenceNotes = "see:evidence.notes",
        /// What a person stated, where that is the evidence.
        EvidenceStatement = "see:evidence.statement",
        WorkItemDescription = "see:work_item.description",
        WorkItemAssignee = "see:work_item.assigneeId",
        /// Why somebody wanted what a record of the audit log is about.
        AuditReason = "see:audit_record.reason",
        AuditEmail = "see:audit_record.email",
    }
}

/// The group of all of them in the schema of policies.
pub const GROUP: &str = "see";

impl Field {
    /// Its name in the record it is part of.
    pub fn name(self) -> &'static str {
        self.as_str().rsplit('.').next().unwrap_or_default()
    }
}

/// Keeps a field from a reader who may not see it, and says so.
pub(crate) fn hide<T: Default>(shown: bool, field: Field, value: &mut T, hidden: &mut Vec<&'static str>) {
    if !shown {
        *value = T::default();
        hidden.push(field.name());
    }
}
