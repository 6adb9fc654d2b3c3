"""Texts that people of the simulated platform write."""

PHRASES = (
    "太好看了",
    "多少钱？",
    "在哪里买的",
    "已关注",
    "Where is this?",
    "Love it 😍",
    "请回复私信",
    "什么时候上新",
    "哈哈哈",
)
