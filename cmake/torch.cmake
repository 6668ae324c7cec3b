# Imports LibTorch, the libraries of the `torch` wheel, as headstart::torch.
#
# find_package(Torch) is not used: it wants a GPU or an architecture list when
# it configures, and the CUDA toolkit even for host code.

set(HEADSTART_TORCH_DIR "$ENV{HEADSTART_TORCH_DIR}" CACHE PATH
    "The folder of the torch package: it holds include/ and lib/")

set(torch_core ${HEADSTART_TORCH_DIR}/include/ATen/core/Tensor.h)
set(torch_cpu ${HEADSTART_TORCH_DIR}/lib/libtorch_cpu.so)
if(NOT HEADSTART_TORCH_DIR OR NOT EXISTS ${torch_core} OR NOT EXISTS ${torch_cpu})
  set(torch_dir "${HEADSTART_TORCH_DIR}")
  unset(HEADSTART_TORCH_DIR CACHE)  # The next try reads the environment again.
  message(FATAL_ERROR
    "HEADSTART_TORCH_DIR is \"${torch_dir}\": there is no torch "
    "package (include/ATen/core/Tensor.h and lib/libtorch_cpu.so). Do one of:\n"
    " - run deploy/quickstart.sh or tests/run.sh, which install one;\n"
    " - pip install --no-deps torch==2.11.0 nvidia-cuda-runtime==13.0.96 "
    "nvidia-cuda-cupti==13.0.85 into a virtual environment, and set "
    "HEADSTART_TORCH_DIR to its .../site-packages/torch;\n"
    " - build everything but the trainer: -DHEADSTART_TORCH=OFF.")
endif()

add_library(headstart_c10 SHARED IMPORTED)
set_target_properties(headstart_c10 PROPERTIES
  IMPORTED_LOCATION ${HEADSTART_TORCH_DIR}/lib/libc10.so)
add_library(headstart_torch_cpu SHARED IMPORTED)
set_target_properties(headstart_torch_cpu PROPERTIES
  IMPORTED_LOCATION ${torch_cpu})

# -rpath: found where it was built. --allow-shlib-undefined: libtorch_cpu's own
# CUDA libraries are found at run time, beside it.
add_library(headstart_torch INTERFACE)
add_library(headstart::torch ALIAS headstart_torch)
target_include_directories(headstart_torch SYSTEM INTERFACE
  ${HEADSTART_TORCH_DIR}/include
  ${HEADSTART_TORCH_DIR}/include/torch/csrc/api/include)
target_link_libraries(headstart_torch INTERFACE
  headstart_torch_cpu headstart_c10 Threads::Threads)
target_link_options(headstart_torch INTERFACE
  -Wl,-rpath,${HEADSTART_TORCH_DIR}/lib -Wl,--allow-shlib-undefined)

# Parsing LibTorch's headers is more than half of the time of a unit that sees
# them, so they are parsed once; that file has 0.6 GB. OFF finds what a file uses
# without including it.
option(HEADSTART_PRECOMPILED "Parse LibTorch's headers once for all units" ON)
if(HEADSTART_PRECOMPILED)
  set(precompiled ${PROJECT_BINARY_DIR}/torch_precompiled.cc)
  file(CONFIGURE OUTPUT ${precompiled} CONTENT "")
  add_library(headstart_torch_precompiled OBJECT ${precompiled})
  target_link_libraries(headstart_torch_precompiled PRIVATE headstart_torch)
  target_precompile_headers(headstart_torch_precompiled PRIVATE
    <ATen/ATen.h>
    <torch/nn/module.h>
    <torch/nn/modules/batchnorm.h>
    <torch/nn/modules/container/sequential.h>
    <torch/nn/modules/conv.h>
    <torch/nn/modules/linear.h>)
endif()
