"""Ed25519: the vectors of RFC 8032 §7.1, what must be refused, and the same verdicts as OpenSSL."""

from __future__ import annotations

import time

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recorder.core.ed25519 import is_sound, verify

ORDER = 2**252 + 27742317777372353535851937790883648493
P = 2**255 - 19
LONG = (
    "08b8b2b733424243760fe426a4b54908632110a66c2f6591eabd3345e3e4eb98fa6e264bf09efe12ee50f8f54e9f77b1"
    "e355f6c50544e23fb1433ddf73be84d879de7c0046dc4996d9e773f4bc9efe5738829adb26c81b37c93a1b270b20329d"
    "658675fc6ea534e0810a4432826bf58c941efb65d57a338bbd2e26640f89ffbc1a858efcb8550ee3a5e1998bd177e93a"
    "7363c344fe6b199ee5d02e82d522c4feba15452f80288a821a579116ec6dad2b3b310da903401aa62100ab5d1a36553e"
    "06203b33890cc9b832f79ef80560ccb9a39ce767967ed628c6ad573cb116dbefefd75499da96bd68a8a97b928a8bbc10"
    "3b6621fcde2beca1231d206be6cd9ec7aff6f6c94fcd7204ed3455c68c83f4a41da4af2b74ef5c53f1d8ac70bdcb7ed1"
    "85ce81bd84359d44254d95629e9855a94a7c1958d1f8ada5d0532ed8a5aa3fb2d17ba70eb6248e594e1a2297acbbb39d"
    "502f1a8c6eb6f1ce22b3de1a1f40cc24554119a831a9aad6079cad88425de6bde1a9187ebb6092cf67bf2b13fd65f270"
    "88d78b7e883c8759d2c4f5c65adb7553878ad575f9fad878e80a0c9ba63bcbcc2732e69485bbc9c90bfbd62481d9089b"
    "eccf80cfe2df16a2cf65bd92dd597b0707e0917af48bbb75fed413d238f5555a7a569d80c3414a8d0859dc65a46128ba"
    "b27af87a71314f318c782b23ebfe808b82b0ce26401d2e22f04d83d1255dc51addd3b75a2b1ae0784504df543af8969b"
    "e3ea7082ff7fc9888c144da2af58429ec96031dbcad3dad9af0dcbaaaf268cb8fcffead94f3c7ca495e056a9b47acdb7"
    "51fb73e666c6c655ade8297297d07ad1ba5e43f1bca32301651339e22904cc8c42f58c30c04aafdb038dda0847dd988d"
    "cda6f3bfd15c4b4c4525004aa06eeff8ca61783aacec57fb3d1f92b0fe2fd1a85f6724517b65e614ad6808d6f6ee34df"
    "f7310fdc82aebfd904b01e1dc54b2927094b2db68d6f903b68401adebf5a7e08d78ff4ef5d63653a65040cf9bfd4aca7"
    "984a74d37145986780fc0b16ac451649de6188a7dbdf191f64b5fc5e2ab47b57f7f7276cd419c17a3ca8e1b939ae49e4"
    "88acba6b965610b5480109c8b17b80e1b7b750dfc7598d5d5011fd2dcc5600a32ef5b52a1ecc820e308aa342721aac09"
    "43bf6686b64b2579376504ccc493d97e6aed3fb0f9cd71a43dd497f01f17c0e2cb3797aa2a2f256656168e6c496afc5f"
    "b93246f6b1116398a346f1a641f3b041e989f7914f90cc2c7fff357876e506b50d334ba77c225bc307ba537152f3f161"
    "0e4eafe595f6d9d90d11faa933a15ef1369546868a7f3a45a96768d40fd9d03412c091c6315cf4fde7cb68606937380d"
    "b2eaaa707b4c4185c32eddcdd306705e4dc1ffc872eeee475a64dfac86aba41c0618983f8741c5ef68d3a101e8a3b8ca"
    "c60c905c15fc910840b94c00a0b9d0"
)
#: RFC 8032 §7.1: public key, message, signature.
RFC = {
    "1": (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
        "d25bf5f0595bbe24655141438e7a100b",
    ),
    "2": (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
        "387b2eaeb4302aeeb00d291612bb0c00",
    ),
    "3": (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
        "4a7c15e9716ed28dc027beceea1ec40a",
    ),
    "1024": (
        "278117fc144c72340f67d0f2316e8386ceffbf2b2428c9c51fef7c597f1d426e",
        LONG,
        "0aab4c900501b3e24d7cdf4663326a3a87df5e4843b2cbdb67cbf6e460fec350aa5371b1508f9f4528ecea23c436d94b"
        "5e8fcd4f681e30a6ac00a9704a188a03",
    ),
    "SHA(abc)": (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd"
        "454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e030"
        "3dca179c138ac17ad9bef1177331a704",
    ),
}
#: A key and a signature by it whose S is one below, and one at or above, the group's order (Wycheproof 74, 75).
AT_THE_BOUND = "100fdf47fb94f1536a4f7c3fda27383fa03375a8f527c537e6f1703c47f94f86"
JUST_UNDER = (
    "124e583f8b8eca58bb29c271b41d36986bbc45541f8e51f9cb0133eca447601e",
    "dac119d6ca87fc59ae611c157048f4d4fc932a149dbe20ec6effd1436abf83ea05c7df0fef06147241259113909bc71b"
    "d3c53ba4464ffcad3c0968f2ffffff0f",
)
JUST_OVER = (
    "6a0bc2b0057cedfc0fa2e3f7f7d39279b30f454a69dfd1117c758d86b19d85e0",
    "0971f86d2c9c78582524a103cb9cf949522ae528f8054dc20107d999be673ff4e25ebf2f2928766b1248bec6e9169777"
    "5f8446639ede46ad4df4053000000010",
)
#: The y of the eight points whose order divides 8.
SMALL_Y = (
    0,
    1,
    P - 1,
    0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
    P - 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
)


def of_openssl(public: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


@pytest.mark.parametrize("name", RFC)
def test_the_vectors_of_the_rfc(name: str) -> None:
    public, message, signature = map(bytes.fromhex, RFC[name])
    assert verify(public, message, signature)
    assert is_sound(public)
    assert not verify(public, message + b"\0", signature)
    assert not verify(public, message, signature[:63])
    assert not verify(public, message, signature + b"\0")
    assert not verify(public[:31], message, signature)


@pytest.mark.parametrize("name", RFC)
def test_every_changed_bit_of_signature_and_key_is_refused(name: str) -> None:
    public, message, signature = map(bytes.fromhex, RFC[name])
    for bit in range(0, 512, 3):
        changed = bytearray(signature)
        changed[bit >> 3] ^= 1 << (bit & 7)
        assert not verify(public, message, bytes(changed))
    for bit in range(0, 256, 3):
        changed = bytearray(public)
        changed[bit >> 3] ^= 1 << (bit & 7)
        assert not verify(bytes(changed), message, signature)


def test_s_has_one_form() -> None:
    public = bytes.fromhex(AT_THE_BOUND)
    assert verify(public, *map(bytes.fromhex, JUST_UNDER))
    assert not verify(public, *map(bytes.fromhex, JUST_OVER))
    public, message, signature = map(bytes.fromhex, RFC["2"])
    scalar = int.from_bytes(signature[32:], "little")
    for times in range(1, 16):
        assert not verify(public, message, signature[:32] + (scalar + times * ORDER).to_bytes(32, "little"))


@pytest.mark.parametrize("y", SMALL_Y)
@pytest.mark.parametrize("sign", [0, 1])
def test_a_key_of_small_order_is_refused(y: int, sign: int) -> None:
    """Under the neutral point, [S]B = R says nothing about the message."""
    public = (y | sign << 255).to_bytes(32, "little")
    assert not is_sound(public)
    neutral = (1).to_bytes(32, "little")
    assert not verify(public, b"anything", neutral + bytes(32))
    assert not verify(public, b"anything else", neutral + bytes(32))


def test_openssl_takes_the_neutral_key_so_the_refusal_is_ours() -> None:
    neutral = (1).to_bytes(32, "little")
    assert of_openssl(neutral, b"anything", neutral + bytes(32))


@pytest.mark.parametrize(
    "public",
    [
        P.to_bytes(32, "little"),  # the y of 0, not canonical
        (P + 3).to_bytes(32, "little"),
        (2**255 - 1).to_bytes(32, "little"),
        (1 | 1 << 255).to_bytes(32, "little"),  # x is 0 and has a sign
        (2).to_bytes(32, "little"),  # on no point
        b"",
        bytes(31),
        bytes(33),
    ],
)
def test_what_is_no_point_is_no_key(public: bytes) -> None:
    assert not is_sound(public)
    assert not verify(public, b"", bytes(64))


@settings(deadline=None)
@given(seed=st.binary(min_size=32, max_size=32), message=st.binary(max_size=300), data=st.data())
@example(seed=bytes(32), message=b"", data=None)
def test_the_same_verdicts_as_openssl(seed: bytes, message: bytes, data: st.DataObject | None) -> None:
    private = Ed25519PrivateKey.from_private_bytes(seed)
    public = private.public_key().public_bytes_raw()
    signature = private.sign(message)
    assert verify(public, message, signature)
    if data is None:
        return
    changed = bytearray(signature)
    for bit in data.draw(st.lists(st.integers(0, 511), max_size=3)):
        changed[bit >> 3] ^= 1 << (bit & 7)
    assert verify(public, message, bytes(changed)) == of_openssl(public, message, bytes(changed))
    other = data.draw(st.binary(min_size=32, max_size=32))
    assert verify(other, message, signature) == of_openssl(other, message, signature)


def test_it_is_fast_enough_to_be_used() -> None:
    public, message, signature = map(bytes.fromhex, RFC["2"])
    began = time.process_time()
    for _ in range(50):
        assert verify(public, message, signature)
    assert (time.process_time() - began) / 50 < 0.010
