# What `cmake --install` puts where, by component:
#   programs  bin/: the programs; the trainer finds LibTorch where it was built
#   plugin    what a plug-in is built with: headers in include/headstart, and the
#             package for find_package(Headstart) in lib/cmake/Headstart
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(TARGETS headstart headstart-scheduler headstart-storage headstart-worker
  RUNTIME COMPONENT programs)
if(NOT HEADSTART_TORCH)
  return()
endif()
install(TARGETS headstart-trainer RUNTIME COMPONENT programs)
if(TARGET headstart-trainer-cuda)  # As it is: it finds LibTorch as built.
  install(PROGRAMS $<TARGET_FILE:headstart-trainer-cuda>
    TYPE BIN COMPONENT programs)
endif()

file(STRINGS ${PROJECT_SOURCE_DIR}/base/version.h version_line
     REGEX "define HEADSTART_VERSION")
string(REGEX REPLACE ".*\"(.*)\"" "\\1" headstart_version "${version_line}")
file(STRINGS ${HEADSTART_TORCH_DIR}/include/torch/headeronly/version.h
     torch_lines REGEX "define TORCH_VERSION_(MAJOR|MINOR|PATCH) ")
list(TRANSFORM torch_lines REPLACE ".* " "")
list(JOIN torch_lines "." HEADSTART_TORCH_VERSION)

set(package ${PROJECT_BINARY_DIR}/package)
configure_file(${CMAKE_CURRENT_LIST_DIR}/HeadstartConfig.cmake.in
  ${package}/HeadstartConfig.cmake @ONLY)
write_basic_package_version_file(${package}/HeadstartConfigVersion.cmake
  VERSION ${headstart_version} COMPATIBILITY SameMinorVersion)
install(FILES
  ${package}/HeadstartConfig.cmake ${package}/HeadstartConfigVersion.cmake
  ${CMAKE_CURRENT_LIST_DIR}/headstart_plugin.cmake
  DESTINATION lib/cmake/Headstart COMPONENT plugin)
foreach(header base/version.h initializers/blocks.h initializers/own_default.h
               worker/models/model.h worker/models/model_shape.h
               worker/plugin/plugin.h)
  get_filename_component(folder ${header} DIRECTORY)
  install(FILES ${PROJECT_SOURCE_DIR}/${header}
    DESTINATION include/headstart/${folder} COMPONENT plugin)
endforeach()
