-- The agent that acts for the person by the token.
alter table bearer_token add column agent_id text;
