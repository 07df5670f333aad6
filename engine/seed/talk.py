"""What people say to a shop, and what it answers: short scripts of real questions."""

import random
from collections.abc import Iterator

SHOP = (
    (
        ("in", "Oi, boa tarde! Vocês têm esse vestido no tamanho M?"),
        ("out", "Oi, {name}! Temos sim, no preto e no verde. Quer que eu separe um?"),
        ("in", "Quero o verde 😍"),
        ("out", "Separado! É só finalizar pelo site com o código VERDE até amanhã."),
    ),
    (
        ("in", "Meu pedido ainda não chegou"),
        ("out", "Oi, {name}, vou verificar agora. Pode me passar o número do pedido?"),
        ("in", "48213"),
        ("out", "Achei: a transportadora entrega hoje até as 18h. Qualquer coisa me chama aqui."),
        ("in", "Chegou! Muito obrigada 🙏"),
    ),
    (
        ("in", "Qual o prazo de troca?"),
        ("out", "São 30 dias a partir da entrega, e a primeira troca é por nossa conta."),
        ("in", "Perfeito"),
    ),
    (("in", "Vocês abrem no domingo?"), ("out", "Abrimos das 10h às 16h, {name}. Esperamos você!")),
    (("in", "Posso pagar no pix?"), ("out", "Pode sim, e no pix tem 5% de desconto.")),
    (("in", "Oi, alguém aí?"),),
    (("in", "O site está dando erro no pagamento 😕"),),
)
PROMOTION = (
    (
        ("in", "Quero ver"),
        ("out", "Oba! Aqui estão as ofertas: tudo com 30% já aplicado no carrinho."),
        ("in", "Vale para sapatos também?"),
        ("out", "Vale para a loja inteira, {name}."),
    ),
    (("in", "Tem frete grátis?"), ("out", "Acima de R$ 199 o frete é por nossa conta.")),
    (("in", "Amei! Vou comprar hoje 🖤"),),
    (("in", "Agora não"),),
)
ORDER = (
    (
        ("in", "Dá para entregar depois das 14h?"),
        ("out", "Deixei anotado para o entregador, {name}."),
        ("in", "Valeu!"),
    ),
    (("in", "Acompanhar"), ("out", "Seu pedido está na rota de hoje. Chega até o fim da tarde.")),
)
SURVEY = (
    (("in", "Gostei"), ("out", "Que bom saber, {name}! Até a próxima 💚")),
    (
        ("in", "Pode melhorar"),
        ("out", "Sinto muito, {name}. O que podemos fazer melhor?"),
        ("in", "A embalagem veio amassada"),
    ),
    (("in", "Gostei"),),
)
PAYMENT = ((("in", "Já paguei ontem"), ("out", "Obrigado por avisar, {name}! Já vi aqui.")),)

SCRIPTS = {
    "shop": SHOP,
    "black_friday": PROMOTION,
    "boas_vindas": SHOP,
    "pedido_enviado": ORDER,
    "lembrete_pagamento": PAYMENT,
    "pesquisa_satisfacao": SURVEY,
}


def conversation_about(topic: str, name: str, chance: random.Random) -> Iterator[tuple[str, str]]:
    """(direction, text) of a talk on a topic with a person of this name."""
    first_name = name.split(maxsplit=1)[0]
    for direction, text in chance.choice(SCRIPTS[topic]):
        yield direction, text.replace("{name}", first_name)
