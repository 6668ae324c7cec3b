# One target per folder, with its dependencies spelt out.
#
#   headstart_library(storage_blob HDRS .. SRCS .. DEPS .. PRIVATE_DEPS ..)
#       the target headstart::storage_blob. DEPS are public, PRIVATE_DEPS not.
#   headstart_test(digest_test [SRCS ..] DEPS .. [LABELS ..])
#       build/<preset>/storage/blob/digest_test, from digest_test.cc, and one
#       ctest entry of that path. LABELS: unit unless said otherwise.
#   headstart_program(headstart-storage SRCS .. DEPS ..)
#       build/<preset>/bin/headstart-storage
#   headstart_process_test(crash_random crash crash_test.py random)
#       one ctest entry that runs a Python script on the real programs; exit
#       code 77 means skipped
#   headstart_bench(pack_store_bench [SRCS ..] DEPS ..)
#       build/<preset>/bench/pack_store_bench
#   headstart_proto(proto PROTOS ..)
#       messages and gRPC stubs; paths are relative to proto/
#
# Files are listed one by one. Includes are written from the project's root.
# `ninja storage/blob/all` builds one folder.

# Designated initialisers leave members out on purpose.
set(HEADSTART_WARNINGS -Wall -Wextra -Werror -Werror=unused-result
  -Wno-missing-field-initializers)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  list(APPEND HEADSTART_WARNINGS -Wthread-safety -Werror=thread-safety)
endif()
if(HEADSTART_SYNTAX_ONLY)
  list(APPEND HEADSTART_WARNINGS -fsyntax-only)
endif()

function(headstart_folders)
  foreach(folder IN LISTS ARGN)
    if(EXISTS ${PROJECT_SOURCE_DIR}/${folder}/CMakeLists.txt)
      add_subdirectory(${folder})
    endif()
  endforeach()
endfunction()

function(headstart_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "HDRS;SRCS;DEPS;PRIVATE_DEPS")
  _headstart_refuse_unknown(${name})
  set(target headstart_${name})
  set(visibility PUBLIC)
  if(NOT arg_SRCS)
    add_library(${target} INTERFACE)
    set(visibility INTERFACE)
  elseif(HEADSTART_SYNTAX_ONLY)
    add_library(${target} OBJECT ${arg_SRCS})
  else()
    add_library(${target} STATIC ${arg_SRCS})
    set_property(GLOBAL APPEND PROPERTY headstart_units ${target})
  endif()
  add_library(headstart::${name} ALIAS ${target})
  target_sources(${target} ${visibility} FILE_SET HEADERS
    BASE_DIRS ${PROJECT_SOURCE_DIR} FILES ${arg_HDRS})
  target_include_directories(${target} ${visibility} ${PROJECT_SOURCE_DIR})
  target_link_libraries(${target} ${visibility} ${arg_DEPS})
  if(arg_SRCS)
    target_link_libraries(${target} PRIVATE ${arg_PRIVATE_DEPS})
    target_compile_options(${target} PRIVATE ${HEADSTART_WARNINGS})
  endif()
endfunction()

function(headstart_program name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SRCS;DEPS")
  _headstart_refuse_unknown(${name})
  _headstart_executable(${name} "${arg_SRCS}" "${arg_DEPS}")
  # A bundle carries the libraries in lib/ beside bin/. The old kind of tag
  # also serves the libraries that those need in turn.
  set_target_properties(${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin
    BUILD_RPATH "\$ORIGIN/../lib" INSTALL_RPATH "\$ORIGIN/../lib")
  target_link_options(${name} PRIVATE -Wl,--disable-new-dtags)
endfunction()

function(headstart_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SRCS;DEPS;LABELS")
  _headstart_refuse_unknown(${name})
  if(NOT arg_SRCS)
    set(arg_SRCS ${name}.cc)
  endif()
  if(NOT arg_LABELS)
    set(arg_LABELS unit)
  endif()
  # Two folders may have a registry_test: the target carries the folder.
  file(RELATIVE_PATH folder ${PROJECT_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
  string(REPLACE "/" "_" prefix ${folder})
  set(target ${prefix}_${name})
  _headstart_executable(${target} "${arg_SRCS}"
    "${arg_DEPS};GTest::gmock;GTest::gtest;GTest::gtest_main")
  if(HEADSTART_SYNTAX_ONLY)
    return()
  endif()
  set_target_properties(${target} PROPERTIES OUTPUT_NAME ${name})
  add_test(NAME ${folder}/${name} COMMAND ${target})
  set(timeout 300)
  if(HEADSTART_SANITIZE)  # Some ten times slower.
    set(timeout 3000)
  endif()
  set_tests_properties(${folder}/${name} PROPERTIES
    LABELS "${arg_LABELS}" TIMEOUT ${timeout}
    ENVIRONMENT "TSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/cmake/tsan_suppressions.txt")
endfunction()

function(headstart_process_test name label script)
  if(HEADSTART_SYNTAX_ONLY)
    return()
  endif()
  file(RELATIVE_PATH folder ${PROJECT_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
  add_test(NAME ${folder}/${name}
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/${script} ${ARGN})
  set_tests_properties(${folder}/${name} PROPERTIES
    LABELS ${label} SKIP_RETURN_CODE 77 TIMEOUT 1500 PROCESSORS 2
    ENVIRONMENT HEADSTART_BIN=${PROJECT_BINARY_DIR}/bin)
endfunction()

function(headstart_bench name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SRCS;DEPS")
  _headstart_refuse_unknown(${name})
  if(NOT arg_SRCS)
    set(arg_SRCS ${name}.cc)
  endif()
  _headstart_executable(${name} "${arg_SRCS}"
    "${arg_DEPS};benchmark::benchmark")
endfunction()

function(headstart_proto name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "PROTOS")
  _headstart_refuse_unknown(${name})
  set(root ${PROJECT_SOURCE_DIR}/proto)
  set(out ${PROJECT_BINARY_DIR}/proto/generated)
  file(MAKE_DIRECTORY ${out})
  set(sources)
  set(headers)
  foreach(proto IN LISTS arg_PROTOS)
    string(REGEX REPLACE "\\.proto$" "" stem ${proto})
    set(generated
      ${out}/${stem}.pb.h ${out}/${stem}.pb.cc
      ${out}/${stem}.grpc.pb.h ${out}/${stem}.grpc.pb.cc)
    add_custom_command(
      OUTPUT ${generated}
      COMMAND protobuf::protoc --proto_path=${root}
        --cpp_out=${out} --grpc_out=${out}
        --plugin=protoc-gen-grpc=$<TARGET_FILE:gRPC::grpc_cpp_plugin>
        ${proto}
      DEPENDS ${arg_PROTOS} protobuf::protoc
      COMMENT "protoc ${proto}"
      VERBATIM)
    list(APPEND headers ${out}/${stem}.pb.h ${out}/${stem}.grpc.pb.h)
    list(APPEND sources ${out}/${stem}.pb.cc ${out}/${stem}.grpc.pb.cc)
  endforeach()

  set(target headstart_${name})
  set(visibility PUBLIC)
  if(HEADSTART_SYNTAX_ONLY)  # Generated code is not ours to check.
    add_library(${target} INTERFACE)
    add_custom_target(${target}_headers DEPENDS ${headers})
    add_dependencies(${target} ${target}_headers)
    set(visibility INTERFACE)
  else()
    add_library(${target} STATIC ${sources})
    target_compile_options(${target} PRIVATE -w)
  endif()
  add_library(headstart::${name} ALIAS ${target})
  target_include_directories(${target} SYSTEM ${visibility} ${out})
  target_link_libraries(${target} ${visibility}
    gRPC::grpc++ protobuf::libprotobuf)
endfunction()

# Ends the configuration when some target would link both LibTorch and
# protobuf: libtorch_cpu exports parts of another protobuf release, and its
# include folder carries that release's headers.
function(headstart_check_torch_wall)
  get_property(targets GLOBAL PROPERTY headstart_executables)
  foreach(target IN LISTS targets)
    _headstart_find_dependencies(seen ${target})
    if("headstart::torch" IN_LIST seen AND "protobuf::libprotobuf" IN_LIST seen)
      message(FATAL_ERROR "${target} links both LibTorch and protobuf; their "
        "symbols clash. See \"Why LibTorch sits alone\" in docs/architecture.md.")
    endif()
  endforeach()
endfunction()

# Gives every target that sees LibTorch its headers as parsed once (torch.cmake).
# GCC takes that file only with the options that it was made with, and crashes
# where -O differs: sources with their own have SKIP_PRECOMPILE_HEADERS.
function(headstart_share_precompiled_torch)
  get_property(targets GLOBAL PROPERTY headstart_units)
  foreach(target IN LISTS targets)
    _headstart_find_dependencies(seen ${target})
    if("headstart::torch" IN_LIST seen)
      target_precompile_headers(${target} REUSE_FROM headstart_torch_precompiled)
      # GCC takes the file only where this agrees; programs have -fPIE.
      target_compile_options(${target} PRIVATE -fPIC)
    endif()
  endforeach()
endfunction()

# All that `target` links, directly or not, by the names used for it.
function(_headstart_find_dependencies result target)
  set(seen)
  set(open ${target})
  while(open)
    list(POP_BACK open next)
    string(REGEX REPLACE "^\\$<LINK_ONLY:(.*)>$" "\\1" next "${next}")
    if(NOT TARGET "${next}" OR "${next}" IN_LIST seen)
      continue()
    endif()
    list(APPEND seen ${next})
    foreach(property LINK_LIBRARIES INTERFACE_LINK_LIBRARIES)
      get_target_property(below ${next} ${property})
      if(below)
        list(APPEND open ${below})
      endif()
    endforeach()
  endwhile()
  set(${result} "${seen}" PARENT_SCOPE)
endfunction()

function(_headstart_executable target sources deps)
  if(HEADSTART_SYNTAX_ONLY)
    add_library(${target} OBJECT ${sources})
  else()
    add_executable(${target} ${sources})
    set_property(GLOBAL APPEND PROPERTY headstart_executables ${target})
    set_property(GLOBAL APPEND PROPERTY headstart_units ${target})
  endif()
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${target} PRIVATE ${deps})
  target_compile_options(${target} PRIVATE ${HEADSTART_WARNINGS})
endfunction()

# A misspelt keyword would otherwise be swallowed by the list before it.
macro(_headstart_refuse_unknown name)
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "${name}: unknown arguments ${arg_UNPARSED_ARGUMENTS}")
  endif()
endmacro()
