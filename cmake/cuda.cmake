# CUDA, where nvcc and a CUDA build of LibTorch are found: the module
# libheadstart-trainer-cuda.so, which the trainer loads when it is asked for a
# CUDA device. No other target sees CUDA, so programs start without it.

set(HEADSTART_CUDA AUTO CACHE STRING
  "Build the trainer's CUDA module: ON, OFF, or AUTO (where it can be built)")
set(HEADSTART_CUDA_DIR /usr/local/cuda CACHE PATH
  "The CUDA toolkit: it holds bin/nvcc, include/ and lib64/")
# The GPUs that kernels are compiled for; newer ones take the last one's PTX.
set(headstart_cuda_code
  -gencode=arch=compute_80,code=sm_80
  -gencode=arch=compute_90,code=[sm_90,compute_90])

set(missing)
foreach(file ${HEADSTART_CUDA_DIR}/bin/nvcc
    ${HEADSTART_CUDA_DIR}/include/cublas_v2.h
    ${HEADSTART_CUDA_DIR}/include/cusolverDn.h
    ${HEADSTART_CUDA_DIR}/lib64/libcudart.so
    ${HEADSTART_TORCH_DIR}/lib/libtorch_cuda.so
    ${HEADSTART_TORCH_DIR}/lib/libc10_cuda.so
    ${HEADSTART_TORCH_DIR}/include/ATen/cuda/CUDAGraph.h)
  if(NOT EXISTS ${file})
    list(APPEND missing ${file})
  endif()
endforeach()
set(HEADSTART_CUDA_FOUND OFF)
if(HEADSTART_CUDA STREQUAL "OFF" OR HEADSTART_SYNTAX_ONLY)
  message(STATUS "CUDA: not built, as asked")
elseif(NOT missing)
  set(HEADSTART_CUDA_FOUND ON)
  message(STATUS "CUDA: built with ${HEADSTART_CUDA_DIR}/bin/nvcc")
elseif(HEADSTART_CUDA STREQUAL "ON")
  message(FATAL_ERROR "HEADSTART_CUDA is ON, but there is no ${missing}. Set "
    "HEADSTART_CUDA_DIR to a CUDA 13 toolkit and HEADSTART_TORCH_DIR to a CUDA "
    "build of torch, or HEADSTART_CUDA to AUTO or OFF.")
else()
  message(STATUS "CUDA: not built, there is no ${missing}")
endif()

#   headstart_cuda_module(headstart-trainer-cuda SRCS .. HDRS .. KERNELS ..)
#       build/<preset>/bin/libheadstart-trainer-cuda.so
function(headstart_cuda_module name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SRCS;HDRS;KERNELS")
  _headstart_refuse_unknown(${name})
  set(objects)
  foreach(kernel IN LISTS arg_KERNELS)
    set(source ${CMAKE_CURRENT_SOURCE_DIR}/${kernel})
    set(object ${CMAKE_CURRENT_BINARY_DIR}/${kernel}.o)
    # -fmad=false: the numbers of the CPU, which rounds every operation.
    add_custom_command(
      OUTPUT ${object}
      COMMAND ${HEADSTART_CUDA_DIR}/bin/nvcc -std=c++20 -O3 -fmad=false
        ${headstart_cuda_code} -Werror all-warnings -Xcompiler -fPIC
        -ccbin ${CMAKE_CXX_COMPILER} -I${PROJECT_SOURCE_DIR}
        -MD -MF ${object}.d -c ${source} -o ${object}
      DEPENDS ${source} DEPFILE ${object}.d
      COMMENT "nvcc ${kernel}" VERBATIM)
    list(APPEND objects ${object})
  endforeach()
  add_library(${name} SHARED ${arg_SRCS} ${arg_HDRS} ${objects})
  set_target_properties(${name} PROPERTIES
    LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin
    SKIP_BUILD_RPATH ON  # Only that of headstart::torch.
    CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_include_directories(${name} SYSTEM PRIVATE
    ${HEADSTART_CUDA_DIR}/include)
  target_compile_options(${name} PRIVATE ${HEADSTART_WARNINGS})
  # --no-as-needed: LibTorch's operators for CUDA register themselves; nobody
  # calls them by name.
  target_link_libraries(${name} PRIVATE headstart::torch
    -Wl,--no-as-needed ${HEADSTART_TORCH_DIR}/lib/libtorch_cuda.so
    ${HEADSTART_TORCH_DIR}/lib/libc10_cuda.so
    ${HEADSTART_CUDA_DIR}/lib64/libcudart.so -Wl,--as-needed)
  set_property(GLOBAL APPEND PROPERTY headstart_executables ${name})
endfunction()
