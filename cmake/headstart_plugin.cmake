# headstart_add_plugin(name SRCS ..)
#     the plug-in <name>.so, to be put into the folder that --plugins of a
#     worker names; its code includes worker/plugin/plugin.h.
#
# Used by this project and, through find_package(Headstart), by plug-ins outside
# of it: both define headstart::plugin_api, which is headers and LibTorch.
function(headstart_add_plugin name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SRCS")
  if(arg_UNPARSED_ARGUMENTS OR NOT arg_SRCS)
    message(FATAL_ERROR
      "headstart_add_plugin(${name} SRCS ..): got ${ARGN} behind the name")
  endif()
  if(HEADSTART_SYNTAX_ONLY)
    add_library(${name} OBJECT ${arg_SRCS})
  else()
    add_library(${name} MODULE ${arg_SRCS})
  endif()
  target_compile_features(${name} PRIVATE cxx_std_20)
  target_link_libraries(${name} PRIVATE headstart::plugin_api)
  # Only what HEADSTART_PLUGIN exports, so that two plug-ins cannot meet.
  set_target_properties(${name} PROPERTIES
    PREFIX "" CXX_EXTENSIONS OFF
    CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
endfunction()
