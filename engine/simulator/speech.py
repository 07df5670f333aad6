"""What people write back. These are the words of the simulated phones, not of the product."""

from engine.simulator.chance import pick

PORTUGUESE_COUNTRIES = frozenset({"BR", "PT", "AO", "MZ"})

REPLIES_PT = (
    "Oi! Quanto custa?", "Tem entrega pra hoje?", "Boa tarde, aceita pix?", "Obrigada! Vou pensar 😊",
    "Quero sim, como faço?", "Me manda mais detalhes por favor", "Tem desconto à vista?", "Pode me ligar amanhã de manhã?",
    "Não recebi ainda o meu pedido", "Adorei!! ❤️", "Vocês abrem no sábado?", "Qual o prazo pra Belo Horizonte?",
    "já comprei semana passada rs", "Tem no tamanho M?", "Perfeito, obrigado 👍", "Quem é?", "Dá pra parcelar em quantas vezes?",
    "Confirmado 👌", "Preciso remarcar meu horário", "Esse preço é com frete?", "Bom dia! Ainda está valendo a promoção?",
    "Qual o endereço da loja?", "Vou querer 2", "Pode mandar o boleto?",
)  # fmt: skip
REPLIES_EN = (
    "Hi! How much is it?", "Do you deliver today?", "Thanks, I'll think about it 😊", "Yes please, how do I order?",
    "Could you send me more details?", "Is there a discount if I pay upfront?", "Can you call me tomorrow morning?",
    "I still haven't received my order", "Love it!! ❤️", "Are you open on Saturday?", "Who is this?", "Confirmed 👌",
    "I need to reschedule", "Is shipping included?", "Is the offer still on?", "I'll take two",
)  # fmt: skip
OPT_OUTS_PT = ("SAIR", "SAIR", "sair", "Parar", "Não quero mais receber mensagens", "Sair por favor")
OPT_OUTS_EN = ("STOP", "Stop", "unsubscribe", "Please stop messaging me")
EMOJI = ("👍", "❤️", "😂", "🙏", "😮")


def reply_text(country: str, figure: float) -> str:
    """What a person of this country answers."""
    return pick(REPLIES_PT if country in PORTUGUESE_COUNTRIES else REPLIES_EN, figure)


def opt_out_text(country: str, figure: float) -> str:
    """How a person of this country asks to be left alone."""
    return pick(OPT_OUTS_PT if country in PORTUGUESE_COUNTRIES else OPT_OUTS_EN, figure)
