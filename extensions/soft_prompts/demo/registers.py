"""Templates of the common registers: for each a row of beats, for each beat several ways to tell it.

Slots: hero helper elder other (names), he him his himself they aunt, trade clothes gift a_thing a_animal (all with
article), home food thing animal spot inn day weather, the plot's clauses trouble goal result obstacle help solution,
the same as the hero would say them (my_trouble ...), and all of them with a capital.
"""

from __future__ import annotations

from . import words

FIRST_PERSON = ("diary", "letter")
JOINED = {"play": "\n"}

DAYS = words.pool("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
WEATHER = ("sunny", "rainy", "windy", "cold", "foggy", "warm", "grey", "bright")

BEATS: dict[str, tuple[tuple[str, ...], ...]] = {
    "fairy tale": (
        (
            "Once upon a time there lived in {home} {trade} named {hero}.",
            "Long ago, in the land of {home}, there was {trade} whose name was {hero}.",
            "In the old days, when animals could still speak, {trade} named {hero} lived near {home}.",
            "Far away, behind seven hills, lay {home}, and in it lived {trade} called {hero}.",
            "There was once {trade} in {home}, and everyone called {him} {hero}.",
            "Many years ago {trade} named {hero} lived alone in a little house in {home}.",
        ),
        (
            "{He} had {a_animal}, and the two shared everything.",
            "All year {he} wore {clothes}, for {he} had nothing else.",
            "{He} was poor, but {his} {thing} shone like the sun.",
            "Every evening {he} ate {food} by the fire with {his} {animal}.",
            "The people loved {him}, and even the {animal} bowed when {he} went by.",
            "A fairy had once given {him} {a_thing}, and {he} kept it well.",
        ),
        (
            'But one day {trouble}. "I will {goal}," said {hero}, "even if it takes a year and a day."',
            "Then it came to pass that {trouble}. So {hero} set out to {goal}.",
            "One morning {trouble}, and {hero} wept. Then {he} dried {his} eyes and went to {goal}.",
            'But alas, {trouble}! "Somebody must {goal}," said the king, and {hero} bowed and went.',
        ),
        (
            "{He} walked for three days and three nights, and then {obstacle}.",
            "{He} went through the dark forest, but {obstacle}, and {he} did not know what to do.",
            'On the seventh day {obstacle}. "Woe is me," cried {hero}.',
            "But the way was long, and {obstacle}.",
        ),
        (
            "Then came good {helper}, who {help}, and so {solution}.",
            "An old beggar sat by the road. {hero} gave {food} to the beggar, whose name was {helper} and who {help}. "
            "So {solution}.",
            '"Do not cry," said a voice. It was {helper}, who {help}, and soon {solution}.',
            "As luck would have it, {helper} came along and {help}. Thus {solution}.",
        ),
        (
            "And see, {result}!",
            "And before the moon rose, {result}.",
            "At last {result}, and {hero} danced with joy.",
            "So in the end {result}.",
        ),
        (
            "They held a feast with {food}, and they lived happily ever after.",
            "And if they have not died, {hero} and {helper} are still friends today.",
            "The king gave {him} {gift}, and from that day on nobody in {home} was ever sad.",
            "And {hero} lived happily in {home} to the end of {his} days.",
        ),
    ),
    "diary": (
        (
            "{day}. Dear diary, today was a {weather} day, and I must tell you everything.",
            "Dear diary, it is {day} and I cannot sleep.",
            "{day}, late at night. My hand is tired, but I must write this down.",
            "{day}. I got up early and put on {clothes}. Outside it was {weather}.",
            "Dear diary, I am sorry that I did not write since {day}.",
            "{day} evening. I am in my bed in {home} with a plate of {food}.",
        ),
        (
            "I felt sick when I heard that {trouble}.",
            "After breakfast I learnt that {trouble}. Why does it always happen to me?",
            "I was so upset today, because {trouble}.",
            "I still cannot believe it: {trouble}.",
        ),
        (
            "I told Mother that I would {goal}, and I went off without my lunch.",
            "I made up my mind to {goal}, and I was a little afraid.",
            "Nobody else wanted to {goal}, so I did it.",
            "I thought about it all morning, and then I left {home} to {goal}.",
        ),
        (
            "Of course {obstacle}. I felt like crying.",
            "I was nearly there, and then {obstacle}! I was so angry.",
            "It went badly at first. {Obstacle}, and I had no idea what to do.",
            "I do not like to write this, but {obstacle}, and I almost gave up.",
        ),
        (
            "Luckily I met {helper}, who {help}. So {solution}. I will never forget it.",
            "Then {helper} {help}. I could have hugged {helper}! After that {solution}.",
            "But {helper} is a true friend and {help}, and in the end {solution}.",
            "Guess who was there? It was {helper}, who {help}, and so {solution}.",
        ),
        (
            "And then {result}. I am so happy.",
            "Dear diary, {result}! I am still smiling.",
            "When it was nearly dark, {result}.",
            "In the end {result}, and everyone said that I was brave.",
        ),
        (
            "Tomorrow I will give {helper} {gift}. Good night, dear diary.",
            "Now my candle is almost gone. Good night.",
            "I wonder what tomorrow will bring. I will eat some {food} and go to sleep.",
            "More tomorrow. My {animal} is already asleep beside me.",
        ),
    ),
    "letter": (
        (
            "Dear {other},\nthank you for your kind letter and for the {food}.",
            "Dear {other},\nI hope that you are well and that it is not too {weather} where you are.",
            "My dear {other},\nyou asked for news from {home}, and today I have some.",
            "Dearest {other},\nI am sitting at my desk in {clothes} and thinking of you.",
            "Dear {aunt} {other},\nyou will laugh when you hear what happened to me in {home}.",
            "Dear {aunt} {other},\nplease forgive me for writing so late.",
        ),
        (
            "You must know that last {day} {trouble}.",
            "I have to tell you that {trouble}.",
            "As you may have heard, {trouble}.",
            "We had a bad week here, for {trouble}.",
        ),
        (
            "You know me, so you will not be surprised that I offered to {goal}.",
            "As you taught me, I did not complain, but went to {goal}.",
            "So I took my hat and my stick and left to {goal}.",
            "I asked everyone in {home} to {goal}, but in the end I went myself.",
        ),
        (
            "I am sorry to say that {obstacle}.",
            "You can imagine my face when {obstacle}.",
            "The journey was hard, and {obstacle}. I wished that you were there.",
            "All went well until {obstacle}.",
        ),
        (
            "I owe everything to our friend {helper}, who {help}. In this way {solution}.",
            "Do you remember {helper}? It was {helper} who {help}, and so {solution}.",
            "By good fortune {helper} {help}, and thanks to that {solution}.",
            "Please greet {helper} from me, who {help}. Only so {solution}.",
        ),
        (
            "I am glad to tell you that {result}.",
            "You will be pleased to hear that {result}.",
            "And what do you think? {Result}.",
            "To make a long story short, {result}.",
        ),
        (
            "Please write soon, and come to visit us in {home}.\nYour loving {hero}",
            "With this letter I send you {gift}. I hope that it fits.\nYours truly, {hero}",
            "Give my love to all at home.\nWith many kisses, {hero}",
            "I remain, as always,\nyour faithful friend {hero}",
        ),
    ),
    "newspaper": (
        (
            "NEWS FROM {home}. {hero}, {trade} of this town, was the talk of the market on {day}.",
            "{home}, {day}. Everyone in {home} talks of {hero}, {trade}, and for a good reason.",
            "GOOD NEWS. The town of {home} can breathe again, reports our correspondent {other}.",
            "{home}, {day} morning. It was a {weather} day when {hero}, {trade}, became a hero.",
            "SURPRISE IN {home}. Nobody expected much of {hero}, a citizen known for {clothes}.",
            "OUR TOWN. According to several witnesses, {hero} of {home} did a great service to the public on {day}.",
        ),
        (
            "The town council had reported that {trouble}.",
            "As this newspaper wrote on {day}, {trouble}.",
            "The trouble began when it became known that {trouble}.",
            "According to the mayor, {trouble}.",
        ),
        (
            "{hero} offered to {goal} without asking for payment.",
            "The council asked for a volunteer to {goal}, and {hero} came forward.",
            "At noon {hero} left the town to {goal}, as several witnesses confirmed.",
            '"Somebody had to {goal}," {hero} told our reporter.',
        ),
        (
            "Officials said that {obstacle}.",
            "The plan nearly failed, as {obstacle}.",
            "There were delays because {obstacle}, a spokesman said.",
            "Shortly after two o'clock {obstacle}, according to the watch.",
        ),
        (
            "A witness, {helper}, {help}. As a result {solution}.",
            "The situation changed when {helper} {help}, and {solution}.",
            'It was {helper} of the inn "The {inn}" who {help}. Minutes later {solution}.',
            "With the support of {helper}, who {help}, {solution}.",
        ),
        (
            "By evening {result}, the council confirmed.",
            "The mayor announced that {result}.",
            "Shortly before midnight {result}.",
            "This newspaper can confirm that {result}.",
        ),
        (
            "{hero} received {gift} from the mayor. A ceremony will be held on {day}.",
            '"I only did my duty," said {hero}. The council will meet again on {day}.',
            "The public is invited to {food} at the {inn} on {day}. Weather: {weather}.",
            "{helper} could not be reached for comment.",
        ),
    ),
    "play": (
        (
            "The market place of {home}. Enter {hero}, {trade}, and {helper}.",
            "A room in {home}. {hero} sits at a table in {clothes}. Enter {helper}.",
            "A street in {home} on a {weather} evening. {hero} and {helper} meet.",
            'The inn "The {inn}" in {home}. {hero} eats {food}. Enter {helper}.',
        ),
        (
            "{helper}: Good evening, {hero}! Why so sad?\n{hero}: Have you not heard? {My_trouble}.",
            "{helper}: What is the matter, {hero}?\n{hero}: Oh, {helper}, {my_trouble}!",
            "{hero}: Quick, {helper}, listen! {My_trouble}.\n{helper}: That is terrible!",
            "{helper}: Good day, {hero}! How is your {animal}?\n{hero}: Do not ask me. {My_trouble}.",
        ),
        (
            "{helper}: Then we must {goal}.\n{hero}: I tried, but {my_obstacle}.",
            "{helper}: Did you try to {goal}?\n{hero}: Yes, but {my_obstacle}, and I had to turn back.",
            "{hero}: I want to {goal}, but I cannot do it alone. Last time {my_obstacle}.",
            "{helper}: Who will {goal}?\n{hero}: I will! But the last time {my_obstacle}.",
        ),
        (
            "{helper}: Do not despair. I have a plan!\nThey whisper. Exit both. Thunder.",
            "{helper}: Leave it to me. Come!\nExit both.",
            "{helper}: Together we can do it.\n{hero}: Then let us go at once.\nExit both. Music.",
        ),
        (
            "Enter {other}.\n{other}: Have you heard of {hero}? {helper} {help}, and {solution}!",
            "Enter {other}, out of breath.\n{other}: Our {hero} was lucky! {helper} {help}, and so {solution}.",
            "Enter {other} with a lamp.\n{other}: What a day for {hero}! First {helper} {help}, and then {solution}.",
        ),
        (
            "Enter {hero} and {helper}.\n{hero}: Rejoice, friends, for {my_result}!",
            "Enter {hero}.\n{other}: Well, {hero}?\n{hero}: It is done! {My_result}.",
            "Enter {helper} and {hero}, arm in arm.\n{helper}: Tell them, {hero}!\n{hero}: {My_result}.",
        ),
        (
            "{other}: Then bring us {food}!\nAll laugh. Curtain.",
            "{other}: Three cheers for {hero} and {helper}!\nThey dance. Curtain.",
            "{hero}: Take {gift}, {helper}, as my thanks.\nThey bow. Curtain.",
        ),
    ),
    "plain": (
        (
            "{hero} was {trade} in {home}.",
            "{hero} lived in {home} and worked as {trade}.",
            "It was a {weather} {day} in {home}. {hero} put on {clothes} and went out.",
            "In {home} lived {trade}. The name was {hero}.",
            "{hero} owned {a_thing} and {a_animal}, and that was all.",
            "On {day} {hero} sat in the kitchen and ate {food}.",
        ),
        (
            "That day {trouble}.",
            "Then {hero} heard that {trouble}.",
            "There was a problem: {trouble}.",
            "In the morning {trouble}.",
        ),
        (
            "{hero} wanted to {goal}.",
            "{He} decided to {goal} and left the house.",
            '"I can {goal}," said {hero}, and {he} took the road to the north.',
            "{hero} thought for a while. Then {he} went to {goal}.",
        ),
        (
            "But {obstacle}, and {he} had to stop.",
            "On the way {obstacle}.",
            "{He} had not gone far when {obstacle}.",
            "It was not easy, because {obstacle}.",
        ),
        (
            "{helper} saw this and {help}. So {solution}.",
            "{He} asked {helper} for help. {helper} {help}, and {solution}.",
            "Then {helper} came by. {They} {help}. After that {solution}.",
            '"Let me help you," said {helper}, who {help}. In the end {solution}.',
        ),
        (
            "In the evening {result}.",
            "Soon {result}.",
            "After an hour {result}.",
            "{hero} was lucky: {result}.",
        ),
        (
            "{hero} thanked {helper} and went home.",
            "{hero} and {helper} sat down and ate {food} together.",
            "{hero} gave {helper} {gift}. They have been friends ever since.",
            "Back in {home}, {hero} told everyone about it.",
        ),
    ),
}
