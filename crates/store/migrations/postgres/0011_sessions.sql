-- From which kind of browser a session was opened, in few words.
alter table browser_session add column user_agent text collate "C";
create index browser_session_organization on browser_session (organization_id);
