#!/usr/bin/env python3
"""Compiles the kernels for every architecture into `caudal.image`, which the product embeds.

    python3 compile.py             compile with a pinned wheel of NVRTC from PyPI (90 MB, no GPU and no toolkit needed)
    python3 compile.py --check     say whether the image belongs to the sources; needs nothing
    python3 compile.py --rebuild-check   compile again and compare byte by byte

The image begins with lines of text (what it was made of, then each part with its length) and an empty line; the parts follow.
"""

import argparse
import ctypes
import glob
import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
IMAGE = os.path.join(HERE, "caudal.image")
SOURCES = sorted(glob.glob(os.path.join(HERE, "*.cu")) + glob.glob(os.path.join(HERE, "*.cuh")))
NVRTC = "nvidia-cuda-nvrtc-cu12==12.9.86"
NVRTC_SHA256 = "210cf05005a447e29214e9ce50851e83fc5f4358df8b453155d5e1918094dcb4"
# The last NVRTC that still knows Volta (sm_70). Later minor versions run the code of earlier ones.
ARCHITECTURES = [70, 75, 80, 86, 89, 90, 100, 120]
# For what comes after: the driver compiles it once and keeps the result.
PTX = 70
# Products and sums are rounded one by one, as on the processor; `fma` where it is meant.
OPTIONS = ["--std=c++17", "--fmad=false", "--include-path=" + HERE]


def sources_hash():
    """SHA-256 over names and contents of all sources, and the compiler that was pinned."""
    digest = hashlib.sha256(NVRTC.encode() + b"\n")
    for path in SOURCES:
        with open(path, "rb") as file:
            content = file.read()
        digest.update(f"{os.path.basename(path)} {len(content)}\n".encode() + content)
    return digest.hexdigest()


class Compiler:
    """NVRTC out of its wheel."""

    def __init__(self, folder, wheels):
        found = glob.glob(os.path.join(wheels, "nvidia_cuda_nvrtc_cu12-*.whl")) if wheels else []
        if not found:
            wanted = os.path.join(folder, "wanted.txt")
            with open(wanted, "w") as file:
                file.write(f"{NVRTC} --hash=sha256:{NVRTC_SHA256}\n")
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
            subprocess.run([*pip, "--dest", folder, "-r", wanted], check=True)
            found = glob.glob(os.path.join(folder, "*.whl"))
        with zipfile.ZipFile(found[0]) as wheel:
            wheel.extractall(folder)
        libraries = os.path.join(folder, "nvidia", "cuda_nvrtc", "lib")
        for name in ["libnvrtc-builtins.so.12.9", "libnvrtc.so.12"]:
            self.nvrtc = ctypes.CDLL(os.path.join(libraries, name), mode=ctypes.RTLD_GLOBAL)
        self.nvrtc.nvrtcGetErrorString.restype = ctypes.c_char_p

    def check(self, code, program):
        if code == 0:
            return
        size = ctypes.c_size_t()
        self.nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        self.nvrtc.nvrtcGetProgramLog(program, log)
        sys.exit(f"{self.nvrtc.nvrtcGetErrorString(code).decode()}\n{log.value.decode()}")

    def compile(self, architecture, kind):
        """The kernels for one architecture: `kind` is `CUBIN` or `PTX`."""
        with open(os.path.join(HERE, "caudal.cu"), "rb") as file:
            source = file.read()
        target = f"--gpu-architecture={'sm' if kind == 'CUBIN' else 'compute'}_{architecture}"
        options = [*OPTIONS, target]
        program = ctypes.c_void_p()
        self.check(
            self.nvrtc.nvrtcCreateProgram(ctypes.byref(program), source, b"caudal.cu", 0, None, None), program
        )
        given = (ctypes.c_char_p * len(options))(*[option.encode() for option in options])
        self.check(self.nvrtc.nvrtcCompileProgram(program, len(options), given), program)
        size = ctypes.c_size_t()
        self.check(getattr(self.nvrtc, f"nvrtcGet{kind}Size")(program, ctypes.byref(size)), program)
        made = ctypes.create_string_buffer(size.value)
        self.check(getattr(self.nvrtc, f"nvrtcGet{kind}")(program, made), program)
        self.nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
        return made.raw


def build(wheels):
    """The bytes of the image."""
    with tempfile.TemporaryDirectory() as folder:
        compiler = Compiler(folder, wheels)
        parts = [("cubin", a, compiler.compile(a, "CUBIN")) for a in ARCHITECTURES]
        parts.append(("ptx", PTX, compiler.compile(PTX, "PTX")))
    lines = ["caudal-gpu-image 1", f"sources {sources_hash()}", f"compiler {NVRTC}"]
    lines += [f"{kind} {architecture} {len(code)}" for kind, architecture, code in parts]
    return "\n".join(lines).encode() + b"\n\n" + b"".join(code for _, _, code in parts)


def recorded_hash():
    with open(IMAGE, "rb") as file:
        head = file.read(4096).split(b"\n\n")[0].decode().splitlines()
    return next(line.split()[1] for line in head if line.startswith("sources "))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--rebuild-check", action="store_true")
    parser.add_argument("--wheels", help="a folder that has the wheel already")
    arguments = parser.parse_args()
    if arguments.check:
        if recorded_hash() != sources_hash():
            sys.exit("caudal.image was made of other sources: run compile.py and commit what it writes")
        print("caudal.image belongs to the sources")
        return
    image = build(arguments.wheels)
    if arguments.rebuild_check:
        with open(IMAGE, "rb") as file:
            same = file.read() == image
        sys.exit(0 if same else "caudal.image differs from what the sources give")
    with open(IMAGE, "wb") as file:
        file.write(image)
    print(f"caudal.image: {len(image)} bytes")


if __name__ == "__main__":
    main()
