-- With which passkey a session was opened: it works where the passkey is known, and as long as it is.
alter table browser_session add column passkey_id text collate "C";
