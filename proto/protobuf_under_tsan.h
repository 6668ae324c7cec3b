// Gives protobuf's maps the layout that the distribution's library has.
//
// Included in front of every file that sees protobuf in a build with the thread
// sanitizer: there map_field.h adds two fields to its class, and the library,
// which is built without the sanitizer, does not know them.
#pragma once

#include <google/protobuf/map_entry.h>
#include <google/protobuf/map_type_handler.h>
#include <google/protobuf/message.h>

#pragma push_macro("__SANITIZE_THREAD__")
#undef __SANITIZE_THREAD__
#include <google/protobuf/map_field.h>
#pragma pop_macro("__SANITIZE_THREAD__")
