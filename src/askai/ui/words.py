"""Gradio's own few words in Chinese, whatever the language of the browser."""

from __future__ import annotations

import gradio as gr

_WORDS = {
    "blocks.connection_can_break": "手机上切走页面或锁屏后，连接可能中断。",
    "blocks.lost_connection": "连接断开了，正在重新连接…",
    "blocks.waiting_for_inputs": "文件还在上传，请稍候再试。",
    "common.clear": "清除",
    "common.download": "下载",
    "common.error": "出错了",
    "common.loading": "载入中",
    "common.or": "或",
    "common.remove": "移除",
    "common.submit": "提交",
    "errors.config_error": "页面配置有误",
    "errors.runtime_error": "程序出错",
    "file.uploading": "正在上传…",
    "upload_text.click_to_upload": "点这里选择文件",
    "upload_text.drop_file": "把文件拖到这里",
}
_LOCALES = (
    "ar ca ckb de en es et eu fa fi fr he hi id ja ko lt nb nl pl pt pt-BR ro ru sv ta th tr uk ur uz zh-CN"
)


def translations() -> gr.I18n:
    """The same Chinese words for every language that Gradio knows; the page has no other language."""
    return gr.I18n(**dict.fromkeys(_LOCALES.split(), _WORDS))
