from portal import invite


def test_an_invitation_names_its_guest():
    assert invite.read("s", invite.make("s", "guest-7")) == "guest-7"


def test_a_forged_invitation_is_refused():
    assert invite.read("s", invite.make("other", "guest-7")) is None


def test_an_expired_invitation_is_refused():
    assert invite.read("s", invite.make("s", "guest-7"), max_age=-1) is None
