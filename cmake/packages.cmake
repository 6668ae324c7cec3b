# The libraries that come from the distribution. LibTorch: torch.cmake.

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(absl REQUIRED CONFIG)
find_package(Boost REQUIRED CONFIG)  # Its headers, for Boost.Math.
find_package(CLI11 REQUIRED CONFIG)
find_package(GTest REQUIRED CONFIG)
find_package(JPEG REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
find_package(Protobuf REQUIRED)
find_package(Python3 REQUIRED COMPONENTS Interpreter)
find_package(RocksDB REQUIRED CONFIG)
find_package(ZLIB REQUIRED)
find_package(benchmark REQUIRED CONFIG)
find_package(fmt REQUIRED CONFIG)
find_package(gRPC REQUIRED CONFIG)
find_package(nlohmann_json REQUIRED CONFIG)
find_package(prometheus-cpp REQUIRED CONFIG)
find_package(spdlog REQUIRED CONFIG)
find_package(yaml-cpp REQUIRED CONFIG)
find_package(zstd REQUIRED CONFIG)

# CRC32C with the CPU's own instructions (crc32_iscsi).
pkg_check_modules(isal REQUIRED IMPORTED_TARGET libisal)

# One name for packages whose targets differ between releases.
if(NOT TARGET yaml-cpp::yaml-cpp)
  add_library(yaml-cpp::yaml-cpp ALIAS yaml-cpp)
endif()
