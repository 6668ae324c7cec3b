#include "base/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace headstart {
namespace {

void ExpectCharacter(const std::string& text, uint32_t code, size_t bytes) {
  const auto character = FirstUtf8Character(text + "z");
  ASSERT_TRUE(character.has_value()) << code;
  EXPECT_EQ(character->code, code);
  EXPECT_EQ(character->byte_count, bytes);
}

TEST(FirstUtf8CharacterTest, ReadsTheFirstAndLastOfEachLength) {
  ExpectCharacter(std::string(1, '\0'), 0, 1);
  ExpectCharacter("\x7F", 0x7F, 1);
  ExpectCharacter("\xC2\x80", 0x80, 2);
  ExpectCharacter("\xDF\xBF", 0x7FF, 2);
  ExpectCharacter("\xE0\xA0\x80", 0x800, 3);
  ExpectCharacter("\xED\x9F\xBF", 0xD7FF, 3);
  ExpectCharacter("\xEE\x80\x80", 0xE000, 3);
  ExpectCharacter("\xEF\xBF\xBF", 0xFFFF, 3);
  ExpectCharacter("\xF0\x90\x80\x80", 0x10000, 4);
  ExpectCharacter("\xF4\x8F\xBF\xBF", 0x10FFFF, 4);
}

TEST(FirstUtf8CharacterTest, FindsNoneInBrokenBytes) {
  for (const char* text :
       {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xC2", "\xC2z", "\xE0\x9F\xBF",
        "\xE0\xA0", "\xE2\x82z", "\xED\xA0\x80", "\xED\xBF\xBF",
        "\xF0\x8F\xBF\xBF", "\xF0\x90\x80", "\xF4\x90\x80\x80",
        "\xF5\x80\x80\x80", "\xFF"}) {
    EXPECT_FALSE(FirstUtf8Character(text).has_value())
        << static_cast<int>(static_cast<uint8_t>(text[0]));
  }
}

}  // namespace
}  // namespace headstart
