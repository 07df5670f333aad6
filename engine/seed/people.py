"""The demo company's contacts: plausible Brazilian names and numbers, with tags, fields and consent."""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import insert

from engine.contacts.models import Consent, Contact, ContactIdentity, ContactTag
from engine.core.db import Work
from engine.core.ids import uuid7_at

AMOUNT = 1_400
FIRST_NAMES = [
    "Ana",
    "Beatriz",
    "Bruno",
    "Camila",
    "Carlos",
    "Daniela",
    "Diego",
    "Eduarda",
    "Felipe",
    "Fernanda",
    "Gabriel",
    "Giovana",
    "Gustavo",
    "Helena",
    "Igor",
    "Isabela",
    "João",
    "Juliana",
    "Larissa",
    "Leonardo",
    "Letícia",
    "Lucas",
    "Luana",
    "Marcelo",
    "Mariana",
    "Mateus",
    "Nathália",
    "Otávio",
    "Patrícia",
    "Paulo",
    "Priscila",
    "Rafael",
    "Renata",
    "Ricardo",
    "Sabrina",
    "Samuel",
    "Tatiane",
    "Thiago",
    "Valéria",
    "Vinícius",
    "Yasmin",
]
LAST_NAMES = [
    "Almeida",
    "Araújo",
    "Barbosa",
    "Batista",
    "Cardoso",
    "Carvalho",
    "Castro",
    "Costa",
    "Dias",
    "Ferreira",
    "Freitas",
    "Gomes",
    "Lima",
    "Lopes",
    "Machado",
    "Martins",
    "Melo",
    "Mendes",
    "Monteiro",
    "Moreira",
    "Nascimento",
    "Nogueira",
    "Nunes",
    "Oliveira",
    "Pereira",
    "Pinto",
    "Queiroz",
    "Ramos",
    "Ribeiro",
    "Rocha",
    "Rodrigues",
    "Santana",
    "Santos",
    "Silva",
    "Souza",
    "Tavares",
    "Teixeira",
    "Vieira",
]
CITIES = {
    "São Paulo": "11",
    "Rio de Janeiro": "21",
    "Belo Horizonte": "31",
    "Curitiba": "41",
    "Porto Alegre": "51",
    "Salvador": "71",
    "Recife": "81",
    "Fortaleza": "85",
}
TAGS = (("clientes", 0.72), ("vip", 0.09), ("novos", 0.18), ("inativos", 0.12), ("atacado", 0.06))


@dataclass(frozen=True, slots=True)
class Person:
    """One contact, as the history needs it."""

    id: UUID
    name: str
    phone: str
    tags: frozenset[str]
    consent: str


def write_people(work: Work, moment: datetime) -> list[Person]:
    """Contacts made over the last months, oldest first."""
    chance = random.Random(20_26)  # noqa: S311 - people are played, nothing is protected
    people, rows, identities, tags, consents = [], [], [], [], []
    numbers: set[str] = set()
    for index in range(AMOUNT):
        made_at = moment - timedelta(days=150 * (1 - index / AMOUNT) + chance.random())
        city = chance.choice(list(CITIES))
        phone = f"+55{CITIES[city]}9{chance.randrange(60_000_000, 99_999_999)}"
        if phone in numbers:
            continue
        numbers.add(phone)
        name = f"{chance.choice(FIRST_NAMES)} {chance.choice(LAST_NAMES)}"
        consent = chance.choices(("granted", "none", "withdrawn"), (0.87, 0.08, 0.05))[0]
        own_tags = frozenset(tag for tag, share in TAGS if chance.random() < share)
        person = Person(uuid7_at(made_at), name, phone, own_tags, consent)
        people.append(person)
        fields = {"cidade": city, "pedido": str(48_000 + index)}
        if "vip" in own_tags:
            fields["cupom"] = f"VIP{chance.randrange(10, 30)}"
        rows.append(
            {
                "id": person.id,
                "name": name,
                "phone": phone,
                "fields": fields,
                "marketing_consent": consent,
                "created_at": made_at,
                "updated_at": made_at,
            }
        )
        identities.append(
            {"id": uuid7_at(made_at), "contact_id": person.id, "kind": "phone", "scope": "", "value": phone}
        )
        tags += [{"contact_id": person.id, "tag": tag} for tag in own_tags]
        if consent != "none":
            source = "Cadastro no site" if consent == "granted" else "Respondeu SAIR"
            consents.append(
                {
                    "id": uuid7_at(made_at),
                    "contact_id": person.id,
                    "purpose": "marketing",
                    "state": consent,
                    "source": source,
                    "said_at": made_at,
                    "recorded_at": made_at,
                }
            )
    with work.session() as session:
        session.execute(insert(Contact), rows)
        session.execute(insert(ContactIdentity), identities)
        session.execute(insert(ContactTag), tags)
        session.execute(insert(Consent), consents)
    return people
