"""The words that captions draw from: tempi, moods, genres, metres, nouns, and what else people say in a wish for music."""

from __future__ import annotations

ITALIAN = {  # beats a minute that a word allows
    "largo": (42, 60), "grave": (38, 54), "lento": (46, 64), "larghetto": (56, 68), "adagio": (60, 76), "andante": (74, 100),
    "andantino": (80, 106), "moderato": (98, 118), "allegretto": (108, 126), "allegro": (120, 156), "allegro moderato": (112, 128),
    "vivace": (144, 176), "presto": (168, 200), "prestissimo": (196, 240), "allegro vivace": (136, 168), "allegro molto": (130, 168),
    "adagietto": (68, 84), "andante con moto": (84, 108), "allegro con brio": (130, 168), "allegro ma non troppo": (112, 140), "vivo": (140, 170),
}  # fmt: skip
TEMPO_WORDS: dict[str, tuple[int, int]] = ITALIAN | {
    "slow": (50, 80), "very slow": (40, 62), "really slow": (40, 62), "slow-moving": (50, 80), "unhurried": (60, 92), "leisurely": (60, 92),
    "relaxed": (64, 96), "laid-back": (64, 96), "walking-pace": (76, 104), "medium-tempo": (90, 118), "mid-tempo": (90, 118),
    "moderate": (92, 118), "medium": (90, 118), "midtempo": (90, 118), "upbeat": (118, 160), "up-tempo": (122, 168), "uptempo": (122, 168),
    "fast": (128, 176), "quick": (122, 172), "brisk": (116, 156), "lively": (114, 156), "very fast": (160, 220), "rapid": (140, 190),
    "breakneck": (176, 230), "rushing": (140, 190), "speedy": (132, 184), "slowly rolling": (52, 80), "crawling": (40, 60), "dragging": (44, 66),
    "sluggish": (46, 68), "slow-burning": (50, 80), "downtempo": (60, 90), "chilled": (64, 94), "easygoing": (72, 104), "easy-going": (72, 104),
    "not too fast": (76, 110), "not too slow": (88, 118), "moderately fast": (112, 140), "moderately slow": (66, 86), "rather slow": (54, 80),
    "quite slow": (50, 78), "pretty slow": (50, 78), "fairly slow": (54, 82), "rather fast": (122, 166), "quite fast": (126, 172),
    "pretty fast": (126, 172), "fairly fast": (120, 160), "extremely slow": (38, 54), "super slow": (38, 58), "extremely fast": (176, 230),
    "super fast": (168, 224), "energetic": (122, 166), "high-energy": (126, 172), "swift": (128, 172), "racing": (150, 200), "frantic": (156, 210),
    "medium-fast": (110, 138), "medium-slow": (70, 90), "hurried": (130, 176), "steady": (88, 118), "walking pace": (76, 104), "slowish": (58, 84),
    "fastish": (120, 156), "galloping": (136, 184), "snappy": (118, 158), "medium tempo": (90, 118), "mid tempo": (90, 118),
}  # fmt: skip
COMMON = (
    "slow",
    "slow",
    "fast",
    "fast",
    "medium",
    "very slow",
    "very fast",
    "upbeat",
    "lively",
    "quick",
    "moderate",
    *ITALIAN,
)  # drawn more often
MOODS = {
    "minor": "sad melancholy melancholic dark gloomy sorrowful mournful tragic brooding wistful lonely tearful bleak ominous sombre heartbroken "
             "grieving haunting mysterious tense menacing moody grim eerie spooky forlorn desolate sinister weepy angry anxious regretful bitter "
             "creepy doleful depressing",
    "major": "happy cheerful joyful bright sunny merry playful triumphant jolly carefree optimistic hopeful glad blissful festive joyous sweet "
             "uplifting proud innocent cheery bouncy exuberant radiant heroic sparkling light-hearted feel-good jubilant celebratory",
    "any": "dreamy mellow gentle warm nostalgic romantic epic intimate catchy simple lush smooth soulful tender quiet spacious raw late-night "
           "cinematic rainy atmospheric polished rough delicate driving calm peaceful gritty groovy funky elegant little short big weird",
}  # fmt: skip
MOODS_OF = {mode: tuple(words.split()) for mode, words in MOODS.items()}
GENRE_WORDS = {
    "pop": ("pop", "pop", "pop", "radio pop", "indie pop", "chart pop", "mandopop", "k-pop", "power pop", "folk pop", "easy listening", "britpop",
            "teen pop", "j-pop", "bubblegum pop", "dream pop", "acoustic pop", "radio-friendly pop", "singer-songwriter"),
    "rock": ("rock", "rock", "rock", "hard rock", "indie rock", "punk rock", "rock and roll", "rock'n'roll", "garage rock", "grunge", "metal",
             "heavy metal", "classic rock", "alternative rock", "prog rock", "surf rock", "rockabilly", "punk", "stadium rock", "rock 'n' roll"),
    "jazz": ("jazz", "jazz", "jazz", "swing", "bebop", "cool jazz", "big band", "gypsy jazz", "lounge jazz", "jazz standard", "bossa nova",
             "jazzy", "hard bop", "smooth jazz", "latin jazz", "ragtime", "dixieland", "bossa", "modal jazz", "swinging jazz"),
    "blues": ("blues", "blues", "blues", "Chicago blues", "Delta blues", "electric blues", "country blues", "blues shuffle", "boogie", "bluesy",
              "boogie-woogie", "jump blues", "Texas blues", "acoustic blues", "piano blues"),
    "classical": ("classical", "classical", "classical", "baroque", "chorale", "orchestral", "chamber music", "romantic piano", "symphonic",
                  "hymn", "string quartet", "sonata", "fugue", "minuet", "nocturne", "symphony", "étude", "prelude", "concerto", "piano sonata",
                  "string trio", "organ prelude", "in the style of Bach", "Mozart-like", "choral"),
    "electronic": ("electronic", "electronic", "electronic", "techno", "house", "trance", "EDM", "synthwave", "electro", "dance", "drum and bass",
                   "electronica", "deep house", "dubstep", "chiptune", "ambient electronic", "electro house", "rave", "minimal techno", "IDM",
                   "drum'n'bass", "eurodance"),
}  # fmt: skip
METER_WORDS = {
    "3/4": ("3/4", "3/4", "waltz time", "three-four", "three four", "in three", "triple metre", "3/4 time", "three-four time", "triple time",
            "three beats in a bar", "three beats to the bar", "waltz feel"),
    "4/4": ("4/4", "4/4", "common time", "four-four", "four four", "in four", "4/4 time", "four-four time", "four to the bar",
            "four beats in a bar", "four beats to the bar", "four-on-the-floor"),
    "6/8": ("6/8", "6/8", "six-eight", "six eight", "6/8 time", "six-eight time", "compound duple"),
    "2/4": ("2/4", "2/4", "two-four", "two four", "2/4 time", "in two", "march time", "polka time", "two beats in a bar", "two beats to the bar"),
    "2/2": ("2/2", "cut time", "alla breve", "two-two", "2/2 time"), "12/8": ("12/8", "twelve-eight", "twelve eight", "12/8 time"),
    "5/4": ("5/4", "five-four", "in five", "5/4 time", "five four", "five beats in a bar"),
    "7/8": ("7/8", "seven-eight", "in seven", "7/8 time", "seven eight"), "9/8": ("9/8", "nine-eight", "9/8 time"),
    "7/4": ("7/4", "seven-four", "7/4 time"), "6/4": ("6/4", "six-four", "6/4 time"), "5/8": ("5/8", "five-eight", "5/8 time"),
    "3/8": ("3/8", "three-eight", "3/8 time"),
}  # fmt: skip
NOUNS = (
    "song", "song", "tune", "piece", "track", "number", "composition", "instrumental", "theme", "melody", "music", "ballad", "thing", "cue",
    "loop", "jam", "anthem",
)  # fmt: skip
FILLERS = (
    "for piano and strings", "with acoustic guitar", "with drums and bass", "about the sea", "with a female singer", "for a film", "with violins",
    "for my grandmother", "with a saxophone solo", "like a summer evening", "for guitar, bass and drums", "with a strong chorus", "about home",
    "with piano", "played on an old piano", "with warm pads", "to dance to", "for the end of a party", "with a walking bass", "with brass",
    "about a train that never comes", "for two friends", "with handclaps", "that grows slowly", "for solo guitar", "with a big finish", "for choir",
    "for a wedding", "for a video game", "nothing fancy", "from the 80s", "in the style of the 1970s", "for my band", "as for a sad film",
)  # fmt: skip
ASKING = (
    "", "", "", "", "", "", "write ", "make ", "compose ", "give me ", "I want ", "I'd like ", "please write ", "we need ", "create ", "generate ",
    "let's have ", "how about ", "could you make ", "can u do ", "I need ", "play ", "I'm looking for ", "for an advert: ", "my wish: ", "hey, make me ",
)  # fmt: skip

LASTING = (  # around an amount of bars or seconds
    "{}", "{}", "{}", "{}", "{} long", "of {}", "lasting {}", "that lasts {}", "which lasts exactly {}", "for {}", "about {}", "running {}",
    "that runs for {}", "length {}", "length: {}", "duration {}", "make it last {}", "keep it to {}", "it should last {}", "{} in all", "exactly {}",
)  # fmt: skip
GOING = (  # around beats a minute
    "at {}", "at {}", "{}", "{}", "{}", "around {}", "at about {}", "with a tempo of {}", "that goes at {}", "going at {}", "set to {}", "played at {}",
    "tempo {}", "tempo: {}", "exactly {}", "running at {}",
)  # fmt: skip
BARE = (
    "at {}",
    "at {}",
    "tempo {}",
    "tempo: {}",
    "tempo = {}",
    "bpm {}",
    "bpm: {}",
    "at a tempo of {}",
    "{}",
    "@ {}",
    "♩ = {}",
)  # number alone
