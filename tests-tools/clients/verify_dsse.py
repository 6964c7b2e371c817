"""Verifies a DSSE envelope by another implementation: python verify_dsse.py ENVELOPE PUBLIC_KEY_HEX.

Prints the payload. Fails when the signature is not by this key over this payload.
"""

import json
import sys

from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

with open(sys.argv[1], encoding="utf-8") as file:
    data = json.load(file)
name = data["signatures"][0]["keyid"]
key = SSlibKey(name, "ed25519", "ed25519", {"public": sys.argv[2]})
# Their form has the signatures under the same names.
envelope = Envelope.from_dict(data)
envelope.verify([key], 1)
sys.stdout.buffer.write(envelope.payload)
