"""Subject lists that the BioVid literature publishes; kept verbatim, in their published order."""

NO_VISIBLE_REACTION = (
    "082315_w_60", "082414_m_64", "082909_m_47", "083009_w_42", "083013_w_47", "083109_m_60", "083114_w_55",
    "091914_m_46", "092009_m_54", "092014_m_56", "092509_w_51", "092714_m_64", "100514_w_51", "100914_m_39",
    "101114_w_37", "101209_w_61", "101809_m_59", "101916_m_40", "111313_m_64", "120614_w_61",
)  # fmt: skip
"""The 20 subjects that the 67-subject protocol leaves out, because their faces show no reaction."""

HOLD_OUT_VALIDATION = (
    "100914_m_39", "101114_w_37", "082315_w_60", "083114_w_55", "083109_m_60", "072514_m_27", "080309_m_29",
    "112016_m_25", "112310_m_20", "092813_w_24", "112809_w_23", "112909_w_20", "071313_m_41", "101309_m_48",
    "101609_m_36", "091809_w_43", "102214_w_36", "102316_w_50", "112009_w_43", "101814_m_58", "101908_m_61",
    "102309_m_61", "112209_m_51", "112610_w_60", "112914_w_51", "120514_w_56",
)  # fmt: skip
"""The 26 subjects that the published hold-out protocol tests on; the other 61 train."""
