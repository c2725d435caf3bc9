# SPDX-License-Identifier: MIT
"""The checks find what they are for, and let pass what they should."""

import importlib.machinery
import importlib.util
import os

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SPDX = "/* SPDX-License-Identifier: MIT */\n"


def script(name):
    """A script of tools/ as a module."""
    path = os.path.join(TOP, "tools", name)
    loader = importlib.machinery.SourceFileLoader(name.replace("-", "_"), path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


def style(tmp_path, text, name="x.c"):
    path = tmp_path / name
    path.write_text(text)
    return script("check-style").check_file(str(path))[0]


BAD_STYLE = [
    ("int x;\n", "SPDX"),
    (SPDX + "#ifdef DEBUG\n#endif\n", "#if"),
    (SPDX + "int f(void)\n{\n\t__asm__ volatile (\"nop\");\n}\n", "assembly"),
    (SPDX + "int f(int x)\n{\n\tswitch (x) {\n\tcase 0x30:\n\t\treturn 1;\n\t}\n}\n", "case"),
    (SPDX + "int f(void) {\n\treturn 0;\n}\n", "brace"),
    (SPDX + "int f(void)\n{\n        return 0;\n}\n", "tabs"),
    (SPDX + "int a; \n", "blanks"),
    (SPDX + "int a;", "newline"),
    (SPDX + "/* TO" + "DO */\n", "issue"),
    (SPDX + "int a" + "a" * 100 + ";\n", "columns"),
    (SPDX + "int f(void)\n{\n" + "\tg();\n" * 70 + "}\n", "f() has 73 lines"),
    (SPDX + "int a;\n" * 601, "600 lines"),
]


@pytest.mark.parametrize("text,why", BAD_STYLE, ids=[why for _, why in BAD_STYLE])
def test_style_names_the_rule_that_was_broken(tmp_path, text, why):
    assert [c for c in style(tmp_path, text) if why in c]


def test_style_looks_past_comments_and_strings(tmp_path):
    assert not style(tmp_path, SPDX + "/*\n * asm in a comment, and case 0x30:\n */\n"
                     "static const char t[] = \"asm case 0x30\";\n"
                     "int f(int x)\n{\n\treturn g(x,\n\t\t x);\n}\n")


def test_style_lets_insn_h_have_assembly_and_guards(tmp_path):
    assert not style(tmp_path, SPDX + "#ifndef X_H\n#define X_H\nstatic inline void hlt(void)\n"
                     "{\n\t__asm__ volatile (\"hlt\");\n}\n#endif\n", "insn.h")


@pytest.fixture
def layers(tmp_path):
    """check(PATH, INCLUDES...) in a small tree."""
    module = script("check-layers")
    module.TOP = str(tmp_path)
    for path in ("lib/a.h", "vmm/vm.h", "arch/x86_64/insn.h", "net/chan.h", "net/netif.h"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")

    def check(path, *includes):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("".join(f"#include {i}\n" for i in includes))
        return module.check(path)
    return check


def test_layers_let_an_include_point_downward(layers):
    assert layers("vmm/x.c", '"lib/a.h"', '"vmm/vm.h"', "<stdint.h>") == []
    assert layers("mig/x.c", '"net/chan.h"') == []


def test_layers_refuse_what_points_upward_or_nowhere(layers):
    assert layers("lib/x.c", '"vmm/vm.h"')
    assert layers("mig/x.c", '"net/netif.h"')
    assert layers("vmm/x.c", '"../lib/a.h"')
    assert layers("vmm/x.c", '"vmm/none.h"')
    assert layers("vmm/x.c", "<stdio.h>")
    assert layers("other/x.c")


def test_layers_see_an_instruction_through_a_header(layers):
    layers("boot/through.h", '"arch/x86_64/insn.h"')
    assert "through.h" in layers("boot/mbinfo.c", '"boot/through.h"')[0]


@pytest.mark.parametrize("line, named", [
    ("int vmcs_size;", True), ("#define MSR_VMX_X 1", True), ("bool intel;", True),
    ('if (!strcmp(name, "AuthenticAMD"))', True), ('#include "arch/x86_64/svm/svm.h"', True),
    ("int accept, kept; /* as an AMD-V of the EPT kind does */", False),
    ('log_line("neither VT-x nor AMD-V");', False), ("uint64_t cr4_vmxe;", False)])
def test_layers_let_no_vendor_be_named_outside_its_folder(layers, line, named):
    module = script("check-layers")
    assert bool(module.vendor_named(module.without_comments(line))) == named


@pytest.mark.parametrize("more, less, says", [
    ([], [], None),
    (["vmx/vmx_new.c"], [], "vmx/vmx_new.c: has no twin arch/x86_64/svm/svm_new.c"),
    ([], ["npt.c"], "vmx/ept.c: has no twin arch/x86_64/svm/npt.c"),
    ([], ["svm_asid.c"], "there is no svm_asid.c"),
    (["svm/svm_new.c"], [], "svm/svm_new.c: has no twin in arch/x86_64/vmx, and no row"),
])
def test_layers_want_a_twin_for_each_file_of_a_vendor(more, less, says):
    module = script("check-layers")
    folders = [[name for name in os.listdir(os.path.join(TOP, folder)) if name not in less]
               + [name.partition("/")[2] for name in more if name.startswith(folder[-3:])]
               for folder in module.TWINS]
    assert [says in line for line in module.check_twins(*folders)] == ([True] if says else [])


def test_docs_find_names_that_are_gone(tmp_path):
    module = script("check-docs")
    module.TOP = str(tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / "mig").mkdir()
    (tmp_path / "mig/a.c").write_text("int precopy_run(void);\n")
    (tmp_path / "mig/b.c").write_text("int dest_page(void);\n")
    tour = tmp_path / "docs/tour.md"
    tour.write_text("`mig/a.c` `precopy_run`\n`mig/gone.c`\n`precopy_walk()`\n"
                    "`mig/a.c` `dest_page`\n[x](gone.md)\n[y](../mig/a.c#L1)\n")
    wrong = list(module.check_document(str(tour), module.source_words()))
    assert [int(w.split(":")[1]) for w in wrong] == [2, 3, 4, 5]


def test_check_counts_what_a_host_test_reports(tmp_path):
    module = script("check")
    program = tmp_path / "test_x"

    def outcome(body):
        program.write_text("#!/bin/sh\n" + body)
        program.chmod(0o755)
        o = module.host_test(str(program))[0]
        return o.passed, o.failed
    assert outcome("echo 'ok 1 - a'; echo 'not ok 2 - b'; exit 1") == (1, 1)
    assert outcome("echo 'ok 1 - a'; kill -SEGV $$") == (1, 1)
    assert outcome("exit 0") == (1, 0)
    assert outcome("exit 3") == (0, 1)
