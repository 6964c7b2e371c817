-- A file holds one organization, so that its id in an index only makes it wider, and each governed write adds to all of
-- these. What work items are filtered by may be absent, and the planner finds no index under such a filter: the two of
-- work items were written and never read.
drop index if exists work_item_release;
drop index if exists work_item_parent;
drop index if exists action_key;
drop index if exists action_approval;
drop index if exists action_due;
create unique index action_key on action (requester_id, tool, idempotency_key);
create unique index action_approval on action (approval_id);
create index action_due on action (state, due_at);
