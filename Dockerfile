# nas-tools in a container: one file for CPUs and for NVIDIA's GPUs.
#
#   docker build -t nas-tools .
#   docker build -t nas-tools:cuda --build-arg CUDA=1 --build-arg BUILD_BASE=nvidia/cuda:13.0.1-devel-ubuntu24.04 \
#       --build-arg BASE=nvidia/cuda:13.0.1-runtime-ubuntu24.04 .
#   docker run --rm -v "$PWD:/data" --user "$(id -u)" nas-tools nas-search data.nas -o search.nas
#
# The first stage builds Debian packages (make deb), the second installs them. Both bases must be of the same system: Debian, or
# an Ubuntu for CUDA.
ARG BASE=debian:bookworm-slim
ARG BUILD_BASE=$BASE

FROM ${BUILD_BASE} AS build
ARG CUDA=0
ENV DEBIAN_FRONTEND=noninteractive
WORKDIR /src
COPY pipelines/lib.sh pipelines/
# what lib.sh says a build needs, and the makers of packages
RUN apt-get update -q && \
    bash -c '. pipelines/lib.sh && apt-get install -y -q --no-install-recommends "${NAS_BUILD_PACKAGES[@]%%:*}" dpkg-dev' && \
    rm -rf /var/lib/apt/lists/*
COPY . .
RUN if [ "$CUDA" = 1 ]; then make -s -j "$(nproc)" CUDA=1 cuda; fi && make -s -j "$(nproc)" CUDA="$CUDA" deb DEB_DIR=/deb

FROM ${BASE}
ARG RECOMMENDS=0
ENV DEBIAN_FRONTEND=noninteractive
COPY --from=build /deb /tmp/deb
# RECOMMENDS=1: Graphviz, gnuplot and GNU Parallel, too
RUN apt-get update -q && \
    apt-get install -y -q --no-install-recommends /tmp/deb/*.deb && \
    if [ "$RECOMMENDS" = 1 ]; then apt-get install -y -q --no-install-recommends graphviz gnuplot-nox parallel; fi && \
    rm -rf /var/lib/apt/lists/* /tmp/deb && \
    useradd --create-home --uid 1001 nas && mkdir /data && chown nas /data
USER nas
WORKDIR /data
# any program: docker run nas-tools nas-search …
ENTRYPOINT ["/usr/bin/env", "--"]
CMD ["nas-stats", "--help"]
