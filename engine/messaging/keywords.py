"""Words by which people leave marketing, and come back: the whole message, in any of the languages we meet.

"SAIR", "Sair." and "sair!!" say it; "não quero sair de casa" does not. Sources: CTIA's messaging principles (2023) for
English, and what Brazilian and Spanish speaking companies print under their messages.
"""

import re
from enum import StrEnum

from engine.contacts.wording import fold

LONGEST = 40


class Wish(StrEnum):
    """What a keyword asks for."""

    STOP = "stop"
    RESUME = "resume"


STOP_WORDS = frozenset(
    {
        # Portuguese
        "sair", "parar", "pare", "cancelar", "cancela", "descadastrar", "descadastro", "desinscrever", "remover",
        "nao quero receber", "nao quero mais receber", "nao receber mais", "parar promocoes", "parar mensagens",
        # English
        "stop", "stop all", "stopall", "unsubscribe", "cancel", "quit", "opt out", "optout", "stop promotions",
        # Spanish
        "baja", "darse de baja", "dar de baja", "salir", "alto", "detener", "parar promociones",
    }
)  # fmt: skip

RESUME_WORDS = frozenset(
    {
        "voltar", "quero receber", "receber promocoes", "reativar",
        "start", "unstop", "resume", "subscribe", "opt in", "optin", "resume promotions",
        "volver", "quiero recibir", "reanudar",
    }
)  # fmt: skip

_NOT_A_WORD = re.compile(r"[^a-z0-9]+")


def wish_of(text: str | None) -> Wish | None:
    """What a whole message asks for, or None when it says anything else."""
    if text is None or len(text) > LONGEST:
        return None
    words = _NOT_A_WORD.sub(" ", fold(text)).strip()
    if words in STOP_WORDS:
        return Wish.STOP
    return Wish.RESUME if words in RESUME_WORDS else None
