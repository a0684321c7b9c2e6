"""Builds the launcher, a C program that is installed inside the package; everything else is in pyproject.toml.

Setuptools knows extension modules only. So the launcher is one to it, and is compiled as one, but linked
as an executable with a file name of its own. That way it goes wherever an extension module would: into a wheel,
into the source tree for an editable install, and, for `python setup.py build_ext --inplace`, beside its source.

CC, CFLAGS and LDFLAGS are heeded.
"""
from __future__ import annotations

import os
import warnings

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:
    # Before setuptools 70.1; new versions of wheel say that theirs will go, which is no news here.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            from wheel.bdist_wheel import bdist_wheel
        except ImportError:
            bdist_wheel = None

LAUNCHER = "compat.backends.launcher"
PROGRAM = "upstart-compat-launcher"


class BuildLauncher(build_ext):
    """Links the launcher as an executable; would build any other extension as usual."""

    def get_ext_filename(self, fullname):
        # Called with the full name and, for an installation in place, with the last part of it.
        if fullname.split(".")[-1] == LAUNCHER.split(".")[-1]:
            return os.path.join(*fullname.split(".")[:-1], PROGRAM)
        return super().get_ext_filename(fullname)

    def get_export_symbols(self, ext):
        return ext.export_symbols

    def build_extension(self, ext):
        if ext.name != LAUNCHER:
            super().build_extension(ext)
            return
        # After those of Python's own build, which are for a library.
        objects = self.compiler.compile(ext.sources, output_dir=self.build_temp, depends=ext.depends, extra_postargs=["-std=gnu11", "-O2"])
        path = self.get_ext_fullpath(ext.name)
        self.mkpath(os.path.dirname(path))
        # Linked beside its place and moved there, because it may be in use.
        fresh = path + ".new"
        self.compiler.link_executable(objects, fresh, output_dir="", extra_postargs=ext.extra_link_args)
        os.replace(fresh, path)


COMMANDS = {"build_ext": BuildLauncher}

if bdist_wheel is not None:
    class Wheel(bdist_wheel):
        """The launcher belongs to a platform, but to no version of Python."""

        def get_tag(self):
            return ("py3", "none", super().get_tag()[2])

    COMMANDS["bdist_wheel"] = Wheel

SOURCES = [f"compat/backends/launcher{part}.c" for part in ("", "_process", "_server", "_ask")]

setup(ext_modules=[Extension(LAUNCHER, SOURCES, depends=["compat/backends/launcher.h"])], cmdclass=COMMANDS)
