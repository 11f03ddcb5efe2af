#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Fills org.syncrun1.5.scd.in with what the introspection files in dbus/ say: they are the contract, comments included."""

import re
import sys
import xml.etree.ElementTree as ET


def escape(text):
    """Plain text for scdoc."""
    return re.sub(r'([*_\\#<>\[\]~])', r'\\\1', ' '.join(text.split()))


def parse(path):
    parser = ET.XMLParser(target=ET.TreeBuilder(insert_comments=True))
    with open(path, encoding='utf-8') as file:
        return file.read(), ET.parse(path, parser).getroot()


def signature(member):
    args = [f"{a.get('type')} {a.get('name')}" for a in member.findall('arg') if a.get('direction') != 'out']
    out = [f"{a.get('type')} {a.get('name')}" for a in member.findall('arg') if a.get('direction') == 'out']
    text = f"*{member.get('name')}*(" + ', '.join(map(escape, args)) + ')'
    return text + (' → (' + ', '.join(map(escape, out)) + ')' if out else '')


def member_lines(member, comment):
    if member.tag == 'property':
        emits = member.find("annotation[@name='org.freedesktop.DBus.Property.EmitsChangedSignal']")
        note = {'const': ', constant', 'false': ', changes are not signalled',
                'invalidates': ', changes are signalled without the value'}.get(
            emits.get('value') if emits is not None else '', '')
        head = f"*{member.get('name')}* ({escape(member.get('type'))}{note})"
    else:
        head = signature(member)
    yield head
    for paragraph in re.split(r'\n\s*\n', comment):
        if paragraph.strip():
            yield '\t' + escape(paragraph)
            yield ''
    yield ''


def interface_lines(path):
    text, root = parse(path)
    interface = root.find('interface')
    yield f"# INTERFACE {interface.get('name')}"
    yield ''
    # The comment above <node> is no part of the tree.
    head = [c for c in re.findall(r'<!--(.*?)-->', text.split('<node>')[0], re.S) if 'SPDX' not in c]
    yield from (escape(c) for c in head)
    for tag, title in (('method', 'Methods'), ('property', 'Properties'), ('signal', 'Signals')):
        comment, found = '', False
        for child in interface:
            if child.tag is ET.Comment:
                comment = child.text
                continue
            if child.tag == tag:
                if not found:
                    yield from ('', f'## {title}', '')
                    found = True
                yield from member_lines(child, comment)
            comment = ''


def main():
    template, *files = sys.argv[1:]
    with open(template, encoding='utf-8') as file:
        page = file.read()
    body = '\n'.join(line for path in files for line in interface_lines(path))
    sys.stdout.write(page.replace('@INTERFACES@', body))


main()
